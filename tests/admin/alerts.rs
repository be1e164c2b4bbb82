//! Alerts are asked of the operations object; where notices are sent is shown without its secrets.

use std::cell::RefCell;
use std::rc::Rc;

use llm_bridge::alerts::{
    AlertCommand, AlertReport, AlertResponse, Delivery, DestinationKind, Notice, OpenDelivery, RaisedAlert,
};
use serde_json::json;

use crate::setup::{ADMIN, AdminSetup, CONFIG, SECRETS};
use crate::support::{Fate, World, ask, bridge};

/// Lets the operations object respond to commands about alerts. Returns what it is asked.
pub fn answer(world: &World) -> Rc<RefCell<Vec<AlertCommand>>> {
    let asked = Rc::<RefCell<Vec<AlertCommand>>>::default();
    let seen = Rc::clone(&asked);
    let respond = move |command: &str| {
        let command: AlertCommand = serde_json::from_str(command).unwrap();
        let response = match command {
            AlertCommand::Read { .. } => AlertResponse::Report(report()),
            AlertCommand::Test => {
                AlertResponse::Tested { notice: "alert_1".to_owned(), destinations: vec![DestinationKind::Slack] }
            }
        };
        seen.borrow_mut().push(command);
        serde_json::to_string(&response).unwrap()
    };
    world.operations.borrow_mut().insert("alerts", Box::new(respond));
    asked
}

fn report() -> AlertReport {
    let notice = Notice::test(1_000, "n");
    let delivery = Delivery::new(notice.id.clone(), DestinationKind::Slack, 2_000);
    let raised = RaisedAlert {
        kind: "budget".to_owned(),
        per: "day".to_owned(),
        subject: "vk_a".to_owned(),
        percent: Some(80),
        since: None,
    };
    AlertReport {
        raised: vec![raised],
        has_more: false,
        deliveries: vec![OpenDelivery { notice, delivery, is_sending: false }],
        gone: vec![DestinationKind::Slack],
    }
}

#[test]
fn what_is_raised_and_sent_is_shown_without_secrets() {
    let setup = AdminSetup::open();
    let asked = answer(&setup.world);
    let got = setup.ask("GET /alerts?limit=7", "");
    assert_eq!(*asked.borrow(), [AlertCommand::Read { deliveries: 7 }]);
    let shown = got.json();
    let slack =
        json!([{"kind": "slack", "address": "https://hooks.example.com/…", "is_signed": false, "is_gone": true}]);
    assert_eq!(shown["destinations"], slack);
    assert_eq!(shown["problems"].as_array().unwrap().len(), 1);
    assert!(shown["problems"][0].as_str().unwrap().starts_with("ALERT_WECOM_URL: "));
    let raised = json!([{"kind": "budget", "subject": "vk_a", "per": "day", "percent": 80, "since": null}]);
    assert_eq!(shown["raised"], raised);
    assert_eq!(shown["deliveries"][0]["state"], json!("due"));
    assert_eq!(shown["deliveries"][0]["event"], json!("alerts.test"));
    assert_eq!(shown["deliveries"][0]["at"], json!("1970-01-01T00:00:02.000Z"));
    assert_eq!(shown["rules"]["budget"], json!([50, 80, 100]));
    assert!(!got.body.contains("secret"), "{}", got.body);
}

#[test]
fn problems_of_destinations_are_notes_without_secrets() {
    let gateway = bridge(CONFIG, SECRETS).unwrap();
    let notes: Vec<String> = gateway.notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("alerts: ALERT_WECOM_URL: ") && !notes[0].contains("secret"), "{notes:?}");
}

#[test]
fn a_test_needs_a_destination() {
    let setup = AdminSetup::open();
    let asked = answer(&setup.world);
    assert_eq!(setup.ask("POST /alerts/test", "").json()["destinations"], json!(["slack"]));
    assert_eq!(*asked.borrow(), [AlertCommand::Test]);
    let (gateway, world) = (bridge(CONFIG, &SECRETS[..2]), World::default());
    let got = ask(&gateway, &world, "POST /admin/api/alerts/test", ADMIN, "");
    assert_eq!(got.status, 409);
    assert_eq!(got.json()["error"]["code"], json!("alert_destination_missing"));
}

#[test]
fn an_object_that_cannot_be_reached_is_reported() {
    let setup = AdminSetup::open();
    setup.world.fates.borrow_mut().push_back(Fate::Lost);
    let got = setup.ask("GET /alerts", "");
    assert_eq!(got.status, 503);
    assert_eq!(got.json()["error"]["code"], json!("alerts_unavailable"));
    assert_eq!(setup.ask("GET /alerts?limit=501", "").status, 400);
}
