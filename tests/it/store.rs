//! The ledger's story: what any store must do, whatever its database. Each story is told to every store that stands in
//! the list at the end of the first part; what is true of `SQLite` alone comes after it.

mod audit;
mod copy;
mod customers;
mod entitlements;
mod events;
mod inbox;
mod jobs;
mod leases;
mod look_model;
mod looks;
mod matching;
mod model;
mod only_postgres;
mod only_sqlite;
pub(crate) mod upgrade;
mod users;

use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use tollgate::store::{
    Cause, Concern, EventState, Intent, Job, JobKey, JobState, LinkKind, NewEvent, Postgres,
    Priority, Received, Sqlite, Store, UnixMillis,
};

use crate::support::postgres::{Database, Server};

/// When every story begins.
const START: UnixMillis = 1_700_000_000_000;
/// How long a job is lent.
const LEASE: i64 = 30_000;

/// A ledger with nothing in it.
struct Ledger {
    store: Arc<dyn Store>,
    /// Where it is, until the story ends.
    folder: Option<TempDir>,
    /// Likewise.
    _database: Option<Database>,
}

/// Tells every story to one kind of store.
macro_rules! conformance {
    ($kind:ident, $fresh:path) => {
        mod $kind {
            conformance! { @ $fresh;
                events:
                    an_event_is_kept_once_and_with_every_byte
                    an_ignored_event_is_kept_with_its_reason_and_makes_no_job
                    a_batch_has_an_outcome_for_each_event_in_order
                    a_batch_of_many_ends_as_its_events_alone_would
                    an_event_asks_for_the_user_then_the_customer_then_the_object
                    events_that_come_while_a_job_waits_are_taken_along
                    events_are_listed_the_newest_first_and_by_state_type_and_user
                    replay_queues_an_event_again_and_says_when_there_is_nobody
                    prune_drops_bodies_that_are_old_and_done_with_and_nothing_else
                    an_event_tells_those_who_wait_for_jobs;
                customers:
                    only_the_strongest_kind_of_a_link_is_kept
                    a_customer_may_have_to_do_with_two_users_and_a_user_with_two_customers
                    a_deleted_customer_stays_deleted_for_every_user_old_and_new
                    an_event_with_user_and_customer_links_the_two
                    a_purchase_that_is_closed_never_opens_again
                    purchases_are_listed_by_user_the_oldest_first;
                jobs:
                    a_job_is_asked_for_many_times_and_there_once
                    generations_grow_over_all_keys
                    the_interactive_come_first_and_then_the_oldest
                    a_retry_is_background_again
                    a_job_is_taken_when_it_is_due_and_not_before
                    what_is_asked_for_while_a_job_runs_is_not_lost
                    a_job_that_waits_for_its_next_try_is_tried_at_once_when_asked_for
                    a_dead_job_is_kept_and_woken_by_event_request_and_replay
                    each_job_is_taken_by_one_worker_only
                    totals_count_what_waits_runs_and_is_dead;
                leases:
                    a_lease_that_ran_out_is_taken_by_another_and_the_first_writes_nothing
                    a_lease_that_ran_out_and_nobody_took_still_holds
                    released_leases_are_due_at_once
                    a_job_about_a_customer_may_not_write_an_entitlement;
                matching:
                    an_event_of_two_users_is_processed_when_both_are_done
                    finish_processes_what_was_there_when_the_job_was_taken
                    a_customer_that_is_a_users_passes_its_events_on
                    an_object_that_is_a_customers_is_looked_for_further
                    an_object_of_a_known_customer_goes_to_its_users
                    what_is_nobodys_waits_until_the_customer_is_known
                    a_customer_linked_during_the_search_is_not_nobodys
                    a_search_that_leads_to_itself_ends
                    a_search_that_was_given_up_begins_again_with_a_link;
                entitlements:
                    what_was_derived_is_read_back
                    a_change_is_unconfirmed_until_auth0_was_read_and_stays_confirmed_since_then
                    activated_at_is_when_the_plan_in_force_was_given_first
                    entitlements_of_many_users_leave_out_those_without
                    a_reader_of_changes_never_misses_one_whoever_writes
                    a_recheck_makes_one_job_when_its_time_has_come
                    users_of_other_terms_are_found_by_their_ids_whatever_their_jobs_are;
                audit:
                    the_audit_keeps_every_line_the_newest_first;
                looks:
                    a_look_is_followed_from_its_beginning_to_its_end
                    of_many_who_begin_at_once_one_does
                    a_look_cut_short_is_gone_on_with_where_it_was
                    a_look_that_was_left_is_gone_on_with_at_once
                    a_look_whose_lease_ran_out_and_nobody_took_goes_on
                    a_restart_gives_a_look_cut_short_up_and_begins_anew
                    the_end_of_a_look_drops_what_it_did_not_find_again
                    mended_drift_is_gone_and_counted_no_more
                    a_subject_found_twice_at_once_is_as_found_last
                    what_was_found_of_a_user_before_a_job_was_done_is_left_out
                    what_strangers_wrote_into_a_reason_is_kept_without_nul;
                users:
                    every_user_is_known_once_whatever_size_the_pages_have
                    users_are_listed_the_last_changed_first_by_text_and_plan
                    nothing_in_a_search_is_a_wildcard
                    the_latest_changes_are_of_all_users_the_newest_first;
            }
        }
    };
    (@ $fresh:path; $($file:ident: $($story:ident)+;)+) => {$(
        mod $file {
            $(
                #[tokio::test]
                async fn $story() {
                    let ledger: Option<crate::store::Ledger> = $fresh().await.into();
                    let Some(ledger) = ledger else { return };
                    crate::store::$file::$story(&ledger.store).await;
                }
            )+
        }
    )+};
}

conformance!(sqlite, crate::store::sqlite_file);
conformance!(sqlite_in_memory, crate::store::sqlite_memory);
conformance!(postgres, crate::store::postgres);

async fn sqlite_file() -> Ledger {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/ledger.db", folder.path().display());
    Ledger {
        store: Arc::new(Sqlite::open(&url).await.expect("a ledger")),
        folder: Some(folder),
        _database: None,
    }
}

async fn sqlite_memory() -> Ledger {
    let store = Sqlite::open("sqlite::memory:").await.expect("a ledger");
    Ledger {
        store: Arc::new(store),
        folder: None,
        _database: None,
    }
}

/// None where `PostgreSQL` is not installed.
async fn postgres() -> Option<Ledger> {
    let database = Server::shared()?.database().await;
    let store = Postgres::open(&database.url).await.expect("a ledger");
    Some(Ledger {
        store: Arc::new(store),
        folder: None,
        _database: Some(database),
    })
}

/// An event that nobody has to do with yet.
fn event(id: &str, concern: Concern) -> NewEvent {
    NewEvent {
        id: id.to_owned(),
        event_type: "customer.subscription.updated".to_owned(),
        live: false,
        created_at: START - 1000,
        received_at: START,
        body: Bytes::from(format!("{{\"id\": \"{id}\"}}")),
        intent: Intent::Sync(concern),
    }
}

fn of_user(user: &str) -> Concern {
    Concern {
        user: Some((user.to_owned(), LinkKind::Item)),
        ..Concern::default()
    }
}

fn of_customer(customer: &str) -> Concern {
    Concern {
        customer: Some(customer.to_owned()),
        ..Concern::default()
    }
}

fn of_object(kind: &str, id: &str) -> Concern {
    Concern {
        object: Some((kind.to_owned(), id.to_owned())),
        ..Concern::default()
    }
}

fn user(user: &str) -> JobKey {
    JobKey::User(user.to_owned())
}

fn customer(customer: &str) -> JobKey {
    JobKey::Customer(customer.to_owned())
}

fn cause(why: &str) -> Cause {
    Cause {
        why: why.to_owned(),
        event: None,
    }
}

async fn receive(store: &Arc<dyn Store>, event: NewEvent) -> Received {
    let outcomes = store.receive(&[event]).await.expect("it is kept");
    assert_eq!(outcomes.len(), 1);
    outcomes[0]
}

async fn ask(store: &Arc<dyn Store>, key: &JobKey, now: UnixMillis) -> i64 {
    let asked = store
        .enqueue(key, &cause("test"), Priority::Background, now)
        .await;
    asked.expect("a generation")
}

async fn hurry(store: &Arc<dyn Store>, key: &JobKey, now: UnixMillis) -> i64 {
    let asked = store
        .enqueue(key, &cause("hurry"), Priority::Interactive, now)
        .await;
    asked.expect("a generation")
}

async fn take(store: &Arc<dyn Store>, now: UnixMillis) -> Job {
    let job = store.take(now, LEASE).await.expect("the ledger answers");
    job.expect("a job is due")
}

async fn nothing_due(store: &Arc<dyn Store>, now: UnixMillis) {
    assert_eq!(store.take(now, LEASE).await.expect("an answer"), None);
}

/// Where the job stands.
async fn job_state(store: &Arc<dyn Store>, key: &JobKey) -> Option<JobState> {
    let job = store.job(key).await.expect("an answer");
    job.map(|job| job.state)
}

/// Where the event stands.
async fn event_state(store: &Arc<dyn Store>, id: &str) -> EventState {
    let event = store.event(id).await.expect("an answer");
    event.expect("the event is there").state
}
