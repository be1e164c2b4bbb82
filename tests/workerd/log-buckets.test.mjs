// Log files in a bucket: one that fails, in every way, touches no response and loses no line, and neither does a
// process that is killed between two steps.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "./client.mjs";
import { assertWholeAndOnce, FAILURES, SILENCES, withBucket } from "./log-stage.mjs";

const SMALL = "file: { path: logs, max_size: 1000, backup_count: 100 }";
const ONE = "file: { path: logs }";
const FEW = "file: { path: logs, max_size: 1000, backup_count: 2 }";

const failed = (stage) =>
  until(async () => {
    const { store } = await stage.logs("?tail=1");
    return store.bucket_failures > 0 && store;
  }, "a failure of the bucket");

describe("log files in a bucket", () => {
  it("are stored there once they are closed, and read across segments", () =>
    withBucket(SMALL, async (stage, bucket) => {
      const ids = await stage.chats(10);
      await stage.story(ids.at(-1));
      const store = await stage.emptied();
      assert.equal(store.has_bucket, true);
      assert.equal(store.bucket_failures, 0);
      assert.ok(bucket.stored.size >= 3, String(bucket.stored.size));
      for (const [key, text] of bucket.stored) {
        assert.match(key, /^logs\/\d{4}-\d\d-\d\d\/\d{8}\.jsonl$/);
        assert.ok(text.length <= 1000);
        text.trim().split("\n").forEach((line) => JSON.parse(line));
      }
      assert.deepEqual(await stage.ended(), ids);
    }));

  it("survive kills at any moment, whole and once", () =>
    withBucket(SMALL, async (stage) => {
      const seen = [];
      for (let round = 0; round < 4; round++) {
        const ids = await stage.chats(8);
        await stage.story(ids.at(-1));
        seen.push(...ids);
        await stage.chats(3);
        await stage.restart();
      }
      await stage.emptied();
      await assertWholeAndOnce(stage, seen);
    }));

  it("take the batches of several isolates, each once and in its order", () =>
    withBucket(ONE, async (stage) => {
      const line = (isolate, number) => ({
        at: Date.now(),
        line: JSON.stringify({ timestamp: new Date().toISOString(), level: "info", event: "request_complete", request_id: `${isolate}-${number}` }),
      });
      const batch = (isolate, number, lost) => ({
        Append: { id: Number(`${isolate === "east" ? 1 : 2}${number}`), records: [line(isolate, 2 * number), line(isolate, 2 * number + 1)], lost },
      });
      const isolates = ["east", "west"].map(async (isolate) => {
        for (let number = 0; number < 40; number++) {
          const command = batch(isolate, number, number === 7 ? 5 : 0);
          // As an isolate does: the object may have been closed meanwhile.
          assert.equal(await stage.persist(command), "Appended");
          // A response was lost, perhaps with the object, and the batch is sent again.
          if (number % 10 === 0) await stage.close();
          if (number % 5 === 0) assert.equal(await stage.persist(command), "Appended");
        }
      });
      await Promise.all(isolates);
      const ended = await stage.ended();
      for (const isolate of ["east", "west"]) {
        const numbers = ended.filter((id) => id.startsWith(isolate)).map((id) => Number(id.slice(5)));
        assert.deepEqual(numbers, Array.from({ length: 80 }, (_, at) => at));
      }
      const { data, store } = await stage.logs("?tail=1000&level=warning");
      assert.deepEqual(data.map(({ event, lines }) => [event, lines]), [["log_lines_lost", 5], ["log_lines_lost", 5]]);
      assert.equal(store.lost_lines, 10);
    }));

  it("expire there as well", () =>
    withBucket(FEW, async (stage, bucket) => {
      await stage.story((await stage.chats(6)).at(-1));
      await stage.emptied();
      bucket.fates.DELETE = "refuses it";
      await stage.story((await stage.chats(6)).at(-1));
      await failed(stage);
      assert.equal((await stage.logs("?tail=1")).store.segments, 3, "what has expired is not counted");
      bucket.fates = {};
      const [oldest] = bucket.stored.keys();
      await until(() => !bucket.stored.has(oldest), "the deletion of the oldest");
      await stage.emptied();
      assert.equal(bucket.stored.size, 2);
    }));
});

describe("log files", { concurrency: 3 }, () => {
  for (const fate of FAILURES) {
    it(`wait in the object while the bucket ${fate}, and no response does`, () =>
      withBucket(SMALL, async (stage, bucket) => {
        bucket.fates.PUT = fate;
        await stage.impatient(SILENCES.includes(fate));
        const ids = await stage.chats(10);
        assert.equal((await stage.story(ids.at(-1))).length, 2);
        const store = await failed(stage);
        assert.ok(store.object_bytes > 1000);
        assert.equal(store.unsent_lines, 0);
        ids.push(...await stage.chats(3));
        await stage.story(ids.at(-1));
        bucket.fates = {};
        await stage.impatient(false);
        await stage.emptied();
        assert.deepEqual(await stage.ended(), ids);
        await assertWholeAndOnce(stage, ids);
      }));

    it(`are read as far as they can be while the bucket ${fate}`, () =>
      withBucket(SMALL, async (stage, bucket) => {
        const ids = await stage.chats(6);
        await stage.story(ids.at(-1));
        await stage.emptied();
        bucket.fates.GET = fate;
        await stage.impatient(SILENCES.includes(fate));
        const { data, unread_segments } = await stage.logs("?tail=1000");
        assert.equal(unread_segments, bucket.stored.size);
        assert.ok(data.length > 0, "the open segment is in the object");
        bucket.fates = {};
        await stage.impatient(false);
        assert.deepEqual(await stage.ended(), ids);
      }));
  }

  it("are read as far as a slow bucket gets in its time, while the object goes on", () =>
    withBucket(SMALL, async (stage, bucket) => {
      const ids = [];
      // What is read is stored before the next.
      while (bucket.stored.size < 3) {
        ids.push(...await stage.chats(2));
        await stage.story(ids.at(-1));
        await stage.emptied();
      }
      bucket.fine.GET = 1;
      bucket.fates.GET = "answers late";
      const reading = stage.logs("?tail=1000");
      await until(() => bucket.late.length > 0, "the read that is late");
      ids.push(...await stage.chats(1));
      assert.ok((await stage.command("Status")).Status, "other commands do not wait");
      await stage.impatient(true);
      const { data, unread_segments } = await reading;
      assert.equal(unread_segments, bucket.stored.size - 1, "one that is late is not followed by others");
      assert.equal(bucket.late.length, 1);
      const read = new Set(data.map(({ request_id }) => request_id));
      assert.ok(read.size > 1 && read.size < ids.length);
      bucket.late.forEach((answer) => answer());
      bucket.fates = {};
      await stage.impatient(false);
      await stage.story(ids.at(-1));
      assert.deepEqual(await stage.ended(), ids);
    }));

  it("are stored once by a bucket that answers after its time", () =>
    withBucket(SMALL, async (stage, bucket) => {
      bucket.fates.PUT = "answers late";
      await stage.impatient(true);
      const ids = await stage.chats(6);
      await stage.story(ids.at(-1));
      await failed(stage);
      bucket.late.splice(0).forEach((answer) => answer());
      bucket.fates = {};
      await stage.impatient(false);
      await stage.emptied();
      assert.deepEqual(await stage.ended(), ids);
      await assertWholeAndOnce(stage, ids);
    }));

  it("count the lines that expire while the bucket fails", () =>
    withBucket(FEW, async (stage, bucket) => {
      bucket.fates.PUT = "refuses it";
      await stage.story((await stage.chats(6)).at(-1));
      await failed(stage);
      await stage.story((await stage.chats(8)).at(-1));
      const { store } = await until(async () => {
        const read = await stage.logs("?tail=1");
        return read.store.unsent_lines > 0 && read;
      }, "lines that expired");
      assert.equal(store.segments, 3);
    }));

  it("raise an alert while they fill the object because the bucket fails", () =>
    withBucket(FEW, async (stage, bucket) => {
      bucket.fates.PUT = "refuses it";
      await stage.story((await stage.chats(12)).at(-1));
      const raised = async () => (await stage.admin("/alerts")).raised.map(({ kind, subject }) => [kind, subject].join());
      await until(async () => (await raised()).includes("store,log_files"), "the alert");
      const stores = await until(async () => {
        const { data } = await stage.admin("/stores");
        return data.at(-1).bucket_failures > 1 && data;
      }, "a second failure of the bucket");
      assert.deepEqual(stores.map(({ store }) => store), ["operations", "key_registry", "log_files"]);
      assert.ok(stores.every(({ bytes, max_bytes }) => bytes > 0 && bytes < max_bytes), JSON.stringify(stores));
      const { segments, segments_bytes_in_object, has_bucket, bucket_failures } = stores.at(-1);
      assert.deepEqual([segments, segments_bytes_in_object > 1000, has_bucket, bucket_failures > 1], [3, true, true, true]);
      bucket.fates = {};
      await until(async () => !(await raised()).includes("store,log_files"), "that there is room");
    }));

  for (const [method, moment] of [["PUT", "before"], ["PUT", "after"], ["DELETE", "before"], ["DELETE", "after"]]) {
    it(`survive a kill just ${moment} a ${method} is done`, () =>
      withBucket(method === "PUT" ? SMALL : FEW, async (stage, bucket) => {
        const ids = [];
        for (let round = 0; round < 3; round++) {
          const killed = new Promise((resolve) => (bucket[moment][method] = () => resolve(stage.kill())));
          // The process may be gone before the last of them.
          const chatting = (async () => {
            while (bucket[moment][method]) {
              const { id } = await stage.chat();
              await stage.story(id);
              ids.push(id);
            }
          })().catch(() => {});
          await Promise.all([killed, chatting]);
          await stage.restart();
        }
        ids.push(...await stage.chats(1));
        await stage.story(ids.at(-1));
        await stage.emptied();
        if (method === "DELETE") return assert.equal(bucket.stored.size, 2);
        await assertWholeAndOnce(stage, ids);
        assert.deepEqual((await stage.ended()).filter((id) => ids.includes(id)), ids);
      }));
  }
});
