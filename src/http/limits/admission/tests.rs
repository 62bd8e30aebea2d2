#![allow(clippy::unwrap_used, reason = "a failing test should panic")]

use std::sync::Mutex;

use super::*;
use crate::request_id::RequestId;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(5);

fn admission(max_concurrent: usize, max_queued: usize, queue_timeout: Duration) -> AdmissionControl {
    AdmissionControl::new(AdmissionSettings { max_concurrent, max_queued, queue_timeout })
}

async fn until_queued(admission: &AdmissionControl, queued: usize) {
    while admission.0.load().using.queued() != queued {
        tokio::task::yield_now().await;
    }
}

fn assert_overloaded<T>(result: Result<T, ServiceError>) {
    let failure = result.err().unwrap();
    assert_eq!(failure.code(), ErrorCode::Overloaded);
    assert!(failure.retry().is_some());
}

#[tokio::test]
async fn requests_are_served_in_the_order_in_which_they_came() {
    let admission = Arc::new(admission(1, 100, LONG));
    let first = admission.acquire(Lane::Use, || Client::Local).await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for n in 0..50 {
        let (admission, served) = (Arc::clone(&admission), Arc::clone(&served));
        waiting.push(tokio::spawn({
            let admission = Arc::clone(&admission);
            async move {
                let _permit = admission.acquire(Lane::Use, || Client::Local).await.unwrap();
                served.lock().unwrap().push(n);
            }
        }));
        until_queued(&admission, n + 1).await;
    }
    drop(first);
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(*served.lock().unwrap(), (0..50).collect::<Vec<_>>());
    until_queued(&admission, 0).await;
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_empties_again() {
    let admission = Arc::new(admission(1, 3, LONG));
    let first = admission.acquire(Lane::Use, || Client::Local).await.unwrap();
    let mut waiting = Vec::new();
    for n in 0..3 {
        assert!(admission.check_capacity(Lane::Use).is_ok());
        let admission_of_task = Arc::clone(&admission);
        waiting.push(tokio::spawn(async move {
            admission_of_task.acquire(Lane::Use, || Client::Local).await.map(drop)
        }));
        until_queued(&admission, n + 1).await;
    }
    // Another client's request would take the place of the newest, so no request is refused unseen.
    assert!(admission.check_capacity(Lane::Use).is_ok());
    assert_overloaded(admission.acquire(Lane::Use, || Client::Local).await);
    drop(first);
    for task in waiting {
        assert!(task.await.unwrap().is_ok());
    }
    assert!(admission.check_capacity(Lane::Use).is_ok());
    assert!(admission.acquire(Lane::Use, || Client::Local).await.is_ok());
}

#[tokio::test]
async fn without_a_queue_only_the_permits_count() {
    let admission = admission(1, 0, LONG);
    assert!(admission.check_capacity(Lane::Use).is_ok());
    let _first = admission.acquire(Lane::Use, || Client::Local).await.unwrap();
    assert_overloaded(admission.check_capacity(Lane::Use));
    assert_overloaded(admission.acquire(Lane::Use, || Client::Local).await);
}

#[tokio::test]
async fn waiting_ends_at_the_timeout_and_leaves_the_queue() {
    let admission = admission(1, 10, SHORT);
    let _first = admission.acquire(Lane::Use, || Client::Local).await.unwrap();
    assert_overloaded(admission.acquire(Lane::Use, || Client::Local).await);
    until_queued(&admission, 0).await;
}

#[tokio::test]
async fn a_request_that_is_cancelled_leaves_the_queue() {
    let admission = Arc::new(admission(1, 1, LONG));
    let first = admission.acquire(Lane::Use, || Client::Local).await.unwrap();
    let waiting = tokio::spawn({
        let admission = Arc::clone(&admission);
        async move { admission.acquire(Lane::Use, || Client::Local).await.map(drop) }
    });
    until_queued(&admission, 1).await;
    waiting.abort();
    assert!(waiting.await.is_err());
    until_queued(&admission, 0).await;
    drop(first);
    assert!(admission.acquire(Lane::Use, || Client::Local).await.is_ok());
}

#[tokio::test]
async fn key_changes_that_wait_for_each_other_hold_no_permits() {
    let admission = admission(4, 100, SHORT);
    let changes = [
        admission.acquire(Lane::Change, || Client::Local).await.unwrap(),
        admission.acquire(Lane::Change, || Client::Local).await.unwrap(),
    ];
    for _ in 0..4 {
        assert_overloaded(admission.acquire(Lane::Change, || Client::Local).await);
    }
    let others = [
        admission.acquire(Lane::Use, || Client::Local).await.unwrap(),
        admission.acquire(Lane::Use, || Client::Local).await.unwrap(),
    ];
    assert_overloaded(admission.acquire(Lane::Use, || Client::Local).await);
    drop((changes, others));
    assert!(admission.acquire(Lane::Change, || Client::Local).await.is_ok());
}

#[tokio::test]
async fn no_lane_starves_another() {
    const LANES: [Lane; 6] = [Lane::Use, Lane::Read, Lane::Search, Lane::Proof, Lane::Login, Lane::Open];
    for crowded in LANES {
        let admission = admission(8, 0, SHORT);
        let mut permits = Vec::new();
        while let Ok(permit) = admission.acquire(crowded, || Client::Local).await {
            permits.push(permit);
        }
        assert_overloaded(admission.check_capacity(crowded));
        let most = if crowded == Lane::Use { 8 } else { 2 };
        assert_eq!(permits.len(), most, "{crowded:?}");
        for other in LANES.into_iter().filter(|other| *other != crowded) {
            assert!(admission.check_capacity(other).is_ok(), "{crowded:?} {other:?}");
            assert!(admission.acquire(other, || Client::Local).await.is_ok(), "{crowded:?} {other:?}");
        }
        drop(permits);
        assert!(admission.acquire(crowded, || Client::Local).await.is_ok());
    }
}

#[tokio::test]
async fn those_that_wait_in_one_lane_take_no_place_of_another() {
    let admission = Arc::new(admission(1, 20, LONG));
    let first = admission.acquire(Lane::Open, || Client::Local).await.unwrap();
    let waiting: Vec<_> = (0..16)
        .map(|_| {
            let admission = Arc::clone(&admission);
            tokio::spawn(async move { admission.acquire(Lane::Open, || Client::Local).await.map(drop) })
        })
        .collect();
    while admission.0.load().open.queued() != 16 {
        tokio::task::yield_now().await;
    }
    assert_overloaded(admission.acquire(Lane::Open, || Client::Local).await);
    assert!(
        admission.check_capacity(Lane::Use).is_ok()
            && admission.acquire(Lane::Use, || Client::Local).await.is_ok()
    );
    drop(first);
    for task in waiting {
        assert!(task.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_ticket_is_admitted_once_and_an_exempt_one_always() {
    let control = Arc::new(admission(1, 0, SHORT));
    let context = Context::service(RequestId::random().unwrap());
    let ticket = Ticket::new(Arc::clone(&control), Lane::Use);
    assert!(!ticket.is_admitted());
    ticket.admit(&context).await.unwrap();
    ticket.admit(&context).await.unwrap();
    let second = Ticket::new(Arc::clone(&control), Lane::Use);
    assert_overloaded(second.admit(&context).await);
    assert!(ticket.is_admitted() && !second.is_admitted());
    let health = Ticket::new(Arc::clone(&control), Lane::Exempt);
    assert!(health.is_admitted() && health.admit(&context).await.is_ok());
    assert!(control.check_capacity(Lane::Exempt).is_ok());
    drop(ticket);
    assert!(second.admit(&context).await.is_ok());
}

#[tokio::test]
async fn the_limit_can_be_raised_and_lowered_while_requests_are_served() {
    let settings =
        |max_concurrent| AdmissionSettings { max_concurrent, max_queued: 10, queue_timeout: SHORT };
    let admission = AdmissionControl::new(settings(1));
    let first = admission.acquire(Lane::Use, || Client::Local).await.unwrap();
    assert_overloaded(admission.acquire(Lane::Use, || Client::Local).await);
    admission.resize(settings(1));
    assert_overloaded(admission.acquire(Lane::Use, || Client::Local).await);
    admission.resize(settings(2));
    let permits = [
        admission.acquire(Lane::Use, || Client::Local).await.unwrap(),
        admission.acquire(Lane::Use, || Client::Local).await.unwrap(),
    ];
    assert_overloaded(admission.acquire(Lane::Use, || Client::Local).await);
    drop((first, permits));
    admission.resize(settings(1));
    let _only = admission.acquire(Lane::Use, || Client::Local).await.unwrap();
    assert_overloaded(admission.acquire(Lane::Use, || Client::Local).await);
}
