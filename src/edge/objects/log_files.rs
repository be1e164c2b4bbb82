//! The Durable Object that writes log files: it reads its tables, asks [`LogWriter`], stores what has
//! changed, and stores closed segments in the bucket, if there is one.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::result;
use std::time::Duration;

use futures::future::{Either, select};
use wasm_bindgen::JsValue;
use worker::{Delay, DurableObject, Env, Request, Response, Result, State, durable_object};

use super::command;
use super::log_store::LogStore;
use crate::alerts::Observation;
use crate::config::{FileLog, Millis};
use crate::edge::clock::now;
use crate::edge::isolate::bridge;
use crate::edge::js::{Bucket, bucket, set_alarm, stored_alarm};
use crate::edge::log::report_failure;
use crate::edge::operations_queue::send_observations;
use crate::telemetry::RuntimeFailure;
use crate::telemetry::log_file::{
    BucketTask, LogBacklog, LogCommand, LogPage, LogQuery, LogResponse, LogSearch, LogWrite, LogWriter, Segment,
    SegmentPlace,
};

/// The binding of the bucket. It is optional.
const BUCKET: &str = "LOGS";
/// How long the bucket may take for one task, and for all that one query reads.
const BUCKET_TIME: Millis = 30_000;
/// The name of what waits for the bucket in alerts.
const STORE: &str = "log_files";
/// How many tasks one alarm does; the next alarm follows at once.
const TASKS_PER_ALARM: usize = 20;

/// The writer of log files; there is one. The class name is part of wrangler.toml.
#[durable_object(alarm)]
pub struct LogFiles {
    state: State,
    env: Env,
    store: LogStore,
    settings: Option<FileLog>,
    bucket: Option<Bucket>,
    /// Opened by the first command, and again after a failed write.
    writer: RefCell<Option<LogWriter>>,
    /// When the alarm is set.
    wake_at: Cell<Option<Millis>>,
}

impl DurableObject for LogFiles {
    fn new(state: State, env: Env) -> Self {
        let settings = bridge(&env).ok().and_then(|bridge| bridge.logging().file.clone());
        Self {
            store: LogStore::new(state.storage().sql()),
            settings,
            bucket: bucket(&env, BUCKET),
            writer: RefCell::new(None),
            wake_at: Cell::new(None),
            state,
            env,
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let command = command::read(&request).await?;
        if self.writer.borrow().is_none() {
            self.wake_at.set(stored_alarm(&self.state).await);
        }
        let response = match serde_json::from_str(&command) {
            Ok(command) => self.handle(command).await?,
            Err(_) => LogResponse::Malformed,
        };
        command::respond(serde_json::to_string(&response)?)
    }

    /// Closes and deletes segments whose time has come, and stores closed ones in the bucket.
    async fn alarm(&self) -> Result<Response> {
        self.wake_at.set(None);
        self.with_writer(|writer, now, writes| writer.tick(now, writes))?;
        let mut is_backlog_news = false;
        for _ in 0..TASKS_PER_ALARM {
            let Some(task) = self.with_writer(|writer, now, _| writer.next_task(now))?.flatten() else { break };
            match self.carry_out(&task).await {
                Ok(()) => self.with_writer(|writer, _, writes| writer.task_done(&task, writes))?,
                Err(error) => {
                    report_failure(RuntimeFailure::ObjectFailed(&format!("the bucket {BUCKET}: {error:?}")));
                    self.with_writer(|writer, now, _| writer.task_failed(now))?
                }
            };
            is_backlog_news = true;
        }
        if is_backlog_news {
            self.report_backlog().await;
        }
        Response::empty()
    }
}

impl LogFiles {
    async fn handle(&self, command: LogCommand) -> Result<LogResponse> {
        match command {
            LogCommand::Append(batch) => {
                let appended = self.with_writer(|writer, now, writes| writer.append(batch, now, writes))?;
                Ok(appended.map_or(LogResponse::Disabled, |()| LogResponse::Appended))
            }
            LogCommand::Read(query) => self.read(query).await,
            LogCommand::Status => {
                let (status, database_bytes) = (self.with_writer(|writer, _, _| writer.status())?, self.store.bytes());
                Ok(status.map_or(LogResponse::Disabled, |status| LogResponse::Status { status, database_bytes }))
            }
        }
    }

    /// Reports what waits for the bucket, for the alert about a store that is nearly full.
    async fn report_backlog(&self) {
        let reports = bridge(&self.env).is_ok_and(|bridge| bridge.reporting().enabled);
        let backlog = self.with_writer(|writer, _, _| writer.backlog()).ok().flatten().flatten();
        if let Some(LogBacklog { bytes: used, capacity }) = backlog.filter(|_| reports) {
            let observation = Observation::Store { name: STORE.to_owned(), used, capacity };
            send_observations(&self.env, vec![observation]).await;
        }
    }

    /// Asks the writer, and stores what has changed; `None` without settings. Nothing awaits in between.
    fn with_writer<T>(&self, ask: impl FnOnce(&mut LogWriter, Millis, &mut Vec<LogWrite>) -> T) -> Result<Option<T>> {
        let Some(settings) = &self.settings else { return Ok(None) };
        let mut opened = self.writer.borrow_mut();
        let mut writer = match opened.take() {
            Some(writer) => writer,
            None => self.open(settings)?,
        };
        let mut writes = Vec::new();
        let answer = ask(&mut writer, now(), &mut writes);
        // After a failed write the writer stays closed: the next command opens it from what was written.
        self.store.write(&writes)?;
        self.plan_alarm(&writer);
        *opened = Some(writer);
        Ok(Some(answer))
    }

    fn open(&self, settings: &FileLog) -> Result<LogWriter> {
        let writer = LogWriter::open(settings.clone(), self.bucket.is_some(), &self.store.snapshot()?);
        let open = writer.segments().next().filter(|segment| segment.place == SegmentPlace::Open);
        if let Some(segment) = open {
            self.store.cut(segment)?;
        }
        Ok(writer)
    }

    /// Setting an alarm is charged like a row, so it is set when it changes.
    fn plan_alarm(&self, writer: &LogWriter) {
        let wake_at = writer.wake_at();
        if let Some(at) = wake_at
            && wake_at != self.wake_at.get()
        {
            set_alarm(&self.state, at.max(now()));
        }
        self.wake_at.set(wake_at);
    }

    async fn carry_out(&self, task: &BucketTask) -> result::Result<(), JsValue> {
        let Some(bucket) = &self.bucket else { return Err(JsValue::from_str("there is no such binding")) };
        match task {
            BucketTask::Put { segment, key } => {
                let lines = self.store.lines(*segment).map_err(JsValue::from)?;
                in_time(bucket.put(key, &lines), BUCKET_TIME).await
            }
            BucketTask::Delete { key, .. } => in_time(bucket.delete(key), BUCKET_TIME).await,
        }
        .unwrap_or_else(|| Err(JsValue::from_str("it does not respond")))
    }

    async fn read(&self, query: LogQuery) -> Result<LogResponse> {
        let known =
            self.with_writer(|writer, _, _| (writer.segments().cloned().collect::<Vec<Segment>>(), writer.status()))?;
        let Some((segments, status)) = known else { return Ok(LogResponse::Disabled) };
        let (mut search, mut unread_segments) = (LogSearch::new(query), 0);
        // A slow bucket does not hold the query for each of its segments.
        let mut until = now().saturating_add(BUCKET_TIME);
        for segment in &segments {
            if !search.wants(segment) {
                continue;
            }
            match self.lines_of(segment, &mut until).await? {
                Some(lines) => search.search(&lines),
                None => unread_segments += 1,
            }
        }
        let (lines, has_more) = search.finish();
        Ok(LogResponse::Page(LogPage { lines, has_more, unread_segments, status }))
    }

    /// The lines of a segment; `None` if the bucket does not return them until then. After a read that took
    /// all the time, `until` is 0: the timer may end before the clock says so. A segment may move to the
    /// bucket while another is read.
    async fn lines_of(&self, segment: &Segment, until: &mut Millis) -> Result<Option<String>> {
        if segment.place != SegmentPlace::Bucket {
            let lines = self.store.lines(segment.number)?;
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
        let (Some(bucket), left @ 1..) = (&self.bucket, until.saturating_sub(now())) else { return Ok(None) };
        let Some(read) = in_time(bucket.get(&segment.key), left).await else {
            *until = 0;
            return Ok(None);
        };
        Ok(read.ok().flatten())
    }
}

/// What a call of the bucket returns; `None` when its time is over.
async fn in_time<T>(call: impl Future<Output = T>, time: Millis) -> Option<T> {
    match select(Box::pin(call), Box::pin(Delay::from(Duration::from_millis(time)))).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}
