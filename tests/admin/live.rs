//! Watching requests live: tickets, the upgrade, and the end of a request.

use std::cell::RefCell;
use std::rc::Rc;

use llm_bridge::operations::{LiveBoard, LiveCommand, LiveEvent, LiveRequest, LiveResponse};
use serde_json::json;

use crate::setup::{ADMIN, AdminSetup, CONFIG, SECRETS};
use crate::support::{Fate, World, ask, bridge};

const UPGRADE: (&str, &str) = ("upgrade", "websocket");

/// Lets the operations object respond to commands about watching: it knows one running request. Returns what
/// it is asked.
pub fn answer(world: &World) -> Rc<RefCell<Vec<LiveCommand>>> {
    let mut board = LiveBoard::new(u64::MAX);
    let request =
        LiveRequest { run: "run".into(), request_id: "r".into(), key_id: "a".into(), ..LiveRequest::default() };
    board.note(&LiveEvent::Started(request), 1, 0);
    let asked = Rc::<RefCell<Vec<LiveCommand>>>::default();
    let (seen, clock) = (Rc::clone(&asked), Rc::clone(&world.clock));
    let respond = move |command: &str| {
        let command: LiveCommand = serde_json::from_str(command).unwrap();
        seen.borrow_mut().push(command.clone());
        serde_json::to_string(&board.handle(command, 0, clock.get())).unwrap()
    };
    world.operations.borrow_mut().insert("live", Box::new(respond));
    asked
}

/// The status and the code of a request for the WebSocket.
fn open(setup: &AdminSetup, query: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let got = ask(&setup.gateway, &setup.world, &format!("GET /admin/api/live{query}"), headers, "");
    let code = if got.body.is_empty() { String::new() } else { got.code() };
    assert!(got.status == 101 || got.header("cache-control") == Some("no-store"));
    (got.status, code)
}

fn code(code: &str) -> String {
    code.to_owned()
}

#[test]
fn a_ticket_opens_one_connection() {
    let setup = AdminSetup::open();
    let asked = answer(&setup.world);
    let got = setup.ask("POST /live", "");
    assert_eq!(got.status, 201);
    let ticket = got.json()["ticket"].as_str().unwrap().to_owned();
    assert_eq!((ticket.len(), &got.json()["expires_at"]), (64, &json!("2026-11-23T12:00:30.000Z")));
    let LiveCommand::Issue { hash, actor } = asked.borrow()[0].clone() else { panic!("no ticket is issued") };
    assert!(actor.starts_with("key_") && hash != ticket, "the object knows a hash");
    let query = format!("?ticket={ticket}&model=m");
    assert_eq!(open(&setup, &query, &[]), (426, code("upgrade_required")), "the ticket is not used up");
    assert_eq!(open(&setup, &query, &[UPGRADE]).0, 101);
    assert_eq!(open(&setup, &query, &[UPGRADE]), (401, code("invalid_ticket")));
    let logs = setup.world.logs.borrow();
    assert!(!logs.iter().any(|line| line.contains(&ticket)), "{logs:?}");
}

#[test]
fn a_ticket_that_the_gateway_did_not_make_costs_no_call_of_an_object() {
    let setup = AdminSetup::open();
    let asked = answer(&setup.world);
    let ticket = setup.ask("POST /live", "").json()["ticket"].as_str().unwrap().to_owned();
    asked.borrow_mut().clear();
    let changed = format!("{}0", &ticket[..63]);
    let changed = if changed == ticket { format!("{}1", &ticket[..63]) } else { changed };
    for wrong in ["", "a", &"0".repeat(64), &changed, "%ff", "éééééééééééééééééééééééééééééééé"]
    {
        let (status, _) = open(&setup, &format!("?ticket={wrong}"), &[UPGRADE]);
        assert!(matches!(status, 400 | 401), "{wrong}");
    }
    assert_eq!(*asked.borrow(), []);
    // An isolate with other admin keys does not know it.
    let other = bridge(CONFIG, &[("ADMIN_API_KEYS", "other")]);
    let got = ask(&other, &setup.world, &format!("GET /admin/api/live?ticket={ticket}"), &[UPGRADE], "");
    assert_eq!(got.status, 401);
}

#[test]
fn a_client_that_can_send_headers_needs_no_ticket() {
    let setup = AdminSetup::open();
    let asked = answer(&setup.world);
    let with_key = [ADMIN[0], UPGRADE];
    assert_eq!(open(&setup, "", &with_key).0, 101);
    assert_eq!(*asked.borrow(), [LiveCommand::Enter { ticket: None }]);
    assert_eq!(open(&setup, "", ADMIN), (426, code("upgrade_required")));
    assert_eq!(open(&setup, "?modle=m", &with_key), (400, code("unknown_parameter")));
    assert_eq!(open(&setup, "", &[UPGRADE]), (401, code("invalid_api_key")));
}

#[test]
fn an_eleventh_watcher_is_refused() {
    let setup = AdminSetup::open();
    let full = |_: &str| serde_json::to_string(&LiveResponse::Full).unwrap();
    setup.world.operations.borrow_mut().insert("live", Box::new(full));
    assert_eq!(open(&setup, "", &[ADMIN[0], UPGRADE]), (503, code("too_many_watchers")));
}

#[test]
fn a_running_request_is_ended_and_the_audit_log_says_so() {
    let setup = AdminSetup::open();
    answer(&setup.world);
    let got = setup.ask("POST /requests/r/end", "");
    let expected = json!({"object": "request_end", "run": "run", "request_id": "r", "key_id": "a", "state": "ending"});
    assert_eq!((got.status, got.json()), (202, expected));
    let missing = setup.ask("POST /requests/nobody/end", "");
    assert_eq!((missing.status, missing.code()), (404, code("request_not_running")));
    let audit = setup.audit();
    let ends: Vec<_> = audit.iter().filter(|entry| entry["action"] == "request.end").collect();
    assert_eq!((ends.len(), &ends[0]["subject"], &ends[1]["status"]), (2, &json!("run"), &json!(404)));
    assert!(
        ends[0]["changes"].as_array().unwrap().contains(&json!({"field": "state", "from": "running", "to": "ending"}))
    );
}

#[test]
fn an_object_that_cannot_be_reached_and_reports_that_are_off_are_said() {
    let setup = AdminSetup::open();
    setup.world.fates.borrow_mut().push_back(Fate::Lost);
    assert_eq!(setup.ask("POST /live", "").code(), "live_unavailable");
    let off = bridge(&format!("{CONFIG}\nreporting: {{ enabled: false }}"), SECRETS);
    let got = ask(&off, &setup.world, "POST /admin/api/live", ADMIN, "");
    assert_eq!((got.status, got.code()), (409, code("reporting_disabled")));
}
