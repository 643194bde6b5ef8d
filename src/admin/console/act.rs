//! What an operator may do: each is one call of the ledger, which makes a job as an event would.

use std::time::Duration;

use super::form::Form;
use super::sources::Payments;
use super::trouble::{Trouble, ask};
use crate::store::{Cause, JobKey, JobState, Priority, UnixMillis};
use crate::sync::RECONCILE;

/// Jobs woken at a time.
const BATCH: u32 = 500;
/// How long it may take to wake all of them; what is left then is said.
const ALL: Duration = Duration::from_secs(15);
/// Letters of an id, at most: Auth0's and Stripe's are shorter.
const MAX_ID: usize = 512;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// An event's work again.
    Replay(String),
    /// A job that is there, now.
    Retry(JobKey),
    /// All jobs that were given up.
    RetryDead,
    /// A user's roles.
    Sync(String),
    /// What a look found wrong.
    Fix(JobKey),
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Replayed,
    Retried,
    /// So many.
    RetriedDead(u32),
    /// So many, and there are more.
    RetriedSome(u32),
    Syncing,
    Fixing,
    /// There is no such thing, or nothing to do about it.
    Nothing,
}

impl Action {
    /// A word for the log.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Replay(_) => "replay",
            Self::Retry(_) => "retry",
            Self::RetryDead => "retry dead",
            Self::Sync(_) => "sync",
            Self::Fix(_) => "fix",
        }
    }

    /// What it is about, for the log.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Replay(id) => id.clone(),
            Self::Retry(key) | Self::Fix(key) => key.to_string(),
            Self::RetryDead => "every dead job".to_owned(),
            Self::Sync(user) => user.clone(),
        }
    }

    /// Where to go afterwards.
    pub(super) fn next(&self) -> String {
        match self {
            Self::Replay(id) => super::parts::event_path(id),
            Self::Retry(_) | Self::RetryDead => "/jobs".to_owned(),
            Self::Sync(user) => super::parts::user_path(user),
            Self::Fix(_) => "/drift".to_owned(),
        }
    }

    /// Does it.
    pub(super) async fn perform(
        &self,
        payments: &Payments,
        now: UnixMillis,
    ) -> Result<Done, Trouble> {
        let store = &*payments.store;
        match self {
            Self::Replay(id) => {
                let replayed = ask(store.replay(id, now)).await?;
                Ok(if replayed {
                    Done::Replayed
                } else {
                    Done::Nothing
                })
            }
            Self::Retry(key) => {
                if ask(store.job(key)).await?.is_none() {
                    return Ok(Done::Nothing);
                }
                enqueue(payments, key, "console", Priority::Interactive, now).await?;
                Ok(Done::Retried)
            }
            Self::RetryDead => retry_dead(payments, now).await,
            Self::Sync(user) => {
                let key = JobKey::User(user.clone());
                enqueue(payments, &key, "console", Priority::Interactive, now).await?;
                Ok(Done::Syncing)
            }
            Self::Fix(key) => {
                enqueue(payments, key, RECONCILE, Priority::Interactive, now).await?;
                Ok(Done::Fixing)
            }
        }
    }
}

async fn enqueue(
    payments: &Payments,
    key: &JobKey,
    why: &str,
    priority: Priority,
    now: UnixMillis,
) -> Result<(), Trouble> {
    let cause = Cause {
        why: why.to_owned(),
        event: None,
    };
    ask(payments.store.enqueue(key, &cause, priority, now)).await?;
    Ok(())
}

async fn retry_dead(payments: &Payments, now: UnixMillis) -> Result<Done, Trouble> {
    let began = std::time::Instant::now();
    let mut woken = 0;
    loop {
        let dead = ask(payments.store.jobs(JobState::Dead, BATCH)).await?;
        for job in &dead {
            enqueue(payments, &job.key, "console", Priority::Background, now).await?;
            woken += 1;
            if began.elapsed() > ALL {
                return Ok(Done::RetriedSome(woken));
            }
        }
        // Those that die again meanwhile are not woken for ever: each takes a while.
        if dead.len() < BATCH as usize {
            return Ok(Done::RetriedDead(woken));
        }
    }
}

impl Done {
    /// As it stands in the address of the page that comes next.
    pub(super) fn query(self) -> String {
        match self {
            Self::Replayed => "done=replayed".to_owned(),
            Self::Retried => "done=retried".to_owned(),
            Self::RetriedDead(jobs) => format!("done=retried-dead&jobs={jobs}"),
            Self::RetriedSome(jobs) => format!("done=retried-some&jobs={jobs}"),
            Self::Syncing => "done=syncing".to_owned(),
            Self::Fixing => "done=fixing".to_owned(),
            Self::Nothing => "done=nothing".to_owned(),
        }
    }
}

/// What the page says was done. Only sentences of ours: anybody can write a link.
pub(super) fn notice(query: &Form) -> Option<String> {
    let jobs = || {
        let number = query
            .field("jobs")
            .and_then(|text| text.parse::<u32>().ok());
        super::parts::count(number.unwrap_or_default().into(), "job", "jobs")
    };
    let sentence = match query.field("done")? {
        "replayed" => "The event is queued again.".to_owned(),
        "retried" => "The job is tried again now.".to_owned(),
        "retried-dead" => format!("{} queued again.", jobs()),
        "retried-some" => format!(
            "{} queued again; there are more, so press once more.",
            jobs()
        ),
        "syncing" => "The user is looked at now: load the page again in a moment.".to_owned(),
        "fixing" => {
            "A job is queued: the row goes when it is done, or with the next look.".to_owned()
        }
        "signed-out" => "You are signed out.".to_owned(),
        "signed-in" => "You are signed in, for eight hours.".to_owned(),
        _ => return None,
    };
    Some(sentence)
}

/// The job that a form names; `None` where no job can have this name.
pub(super) fn job_key(form: &Form) -> Option<JobKey> {
    let named = |field| form.field(field).filter(|text| is_id(text));
    let id = named("id")?.to_owned();
    match form.field("about")? {
        "user" => Some(JobKey::User(id)),
        "customer" => Some(JobKey::Customer(id)),
        "object" => Some(JobKey::Object(named("kind")?.to_owned(), id)),
        _ => None,
    }
}

/// The fields by which a form names this job.
pub(super) fn job_fields(key: &JobKey) -> Vec<(&'static str, &str)> {
    match key {
        JobKey::User(user) => vec![("about", "user"), ("id", user)],
        JobKey::Customer(customer) => vec![("about", "customer"), ("id", customer)],
        JobKey::Object(kind, id) => vec![("about", "object"), ("kind", kind), ("id", id)],
    }
}

/// Whether this can be an id: visible ASCII, as `sub` of a token has to be, and all that Stripe makes is.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::super::form::encode;
    use super::*;

    #[test]
    fn a_form_names_a_job_as_it_was_written() {
        for key in [
            JobKey::User("auth0|a:b&c".into()),
            JobKey::Customer("cus_1".into()),
            JobKey::Object("dispute".into(), "dp_1".into()),
        ] {
            let fields = job_fields(&key);
            let pairs = fields.iter().map(|(n, v)| format!("{n}={}", encode(v)));
            let sent = pairs.collect::<Vec<_>>().join("&");
            assert_eq!(job_key(&Form::parse(&sent)), Some(key));
        }
    }

    #[test]
    fn what_can_be_no_jobs_name_names_none() {
        let of = |length: usize| format!("about=object&kind={}&id=x", "k".repeat(length));
        assert!(job_key(&Form::parse(&of(MAX_ID))).is_some());
        let (long_id, long_kind) = (format!("about=user&id={}", "a".repeat(513)), of(MAX_ID + 1));
        for odd in [
            "",
            "about=user",
            "about=thing&id=x",
            "about=object&id=x",
            "about=user&id=a%20b",
            "about=user&id=a%0Ab",
            "about=user&id=zo%C3%AB",
            "about=user&id=%FF",
            "about=customer&id=cus%201",
            "about=object&kind=a%20b&id=x",
            &long_id,
            &long_kind,
        ] {
            assert_eq!(job_key(&Form::parse(odd)), None, "{odd}");
        }
    }

    #[test]
    fn a_link_cannot_put_words_into_a_notice() {
        let told = |query: &str| notice(&Form::parse(query));
        assert_eq!(told("done=<b>paid</b>"), None);
        let none = told("done=retried-dead&jobs=<b>").unwrap();
        assert_eq!(none, "0 jobs queued again.");
        assert_eq!(
            told("done=retried-dead&jobs=1").unwrap(),
            "1 job queued again."
        );
    }
}
