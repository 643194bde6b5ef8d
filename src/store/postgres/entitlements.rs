//! The table `entitlements`: what each user has a right to.

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::super::batch::Request;
use super::super::words::list_of;
use super::super::{
    Cause, Derived, Entitlement, Job, JobKey, LONGEST_LIST, Priority, StoreError, UnixMillis,
    UserFilter,
};
use super::jobs;
use super::work::next;

/// The columns by their names: a replica of an older version goes on when a newer one adds a column, and the server would
/// refuse it a `*` that was prepared before.
macro_rules! columns {
    () => {
        "user_id, sequence, generation, plan, paid, backing, status, ends, period_end, recheck_at, changed_at, \
         confirmed_at, activated_at, roles, metadata, terms"
    };
}

/// Users whose jobs one transaction makes.
const RECHECKED_AT_ONCE: i64 = 1000;

pub(super) async fn derived(
    tx: &mut PgConnection,
    job: &Job,
    derived: &Derived,
    changed: bool,
    now: UnixMillis,
) -> Result<Entitlement, StoreError> {
    let mut row = held(tx, job).await?;
    row.derive(derived, changed, now);
    row.generation = job.generation;
    write(tx, row).await
}

pub(super) async fn roles_read(
    tx: &mut PgConnection,
    job: &Job,
    roles: &[String],
    changed: bool,
    now: UnixMillis,
) -> Result<Entitlement, StoreError> {
    let mut row = held(tx, job).await?;
    row.read_roles(roles, changed, now);
    write(tx, row).await
}

pub(super) async fn confirmed(
    tx: &mut PgConnection,
    job: &Job,
    roles: &[String],
    metadata: &str,
    now: UnixMillis,
) -> Result<Entitlement, StoreError> {
    let mut row = held(tx, job).await?;
    row.confirm(roles, metadata, now);
    write(tx, row).await
}

/// The row of the job's user, to be changed while the lease holds.
async fn held(tx: &mut PgConnection, job: &Job) -> Result<Entitlement, StoreError> {
    let user = match &job.key {
        JobKey::User(user) => user,
        // Such a job is no right to write about any user.
        JobKey::Customer(_) | JobKey::Object(..) => return Err(StoreError::LeaseLost),
    };
    jobs::hold(tx, job).await?;
    let row = by_user(tx, user).await?;
    Ok(row.unwrap_or_else(|| Entitlement {
        user: user.clone(),
        ..Entitlement::default()
    }))
}

/// Writes the row under the next sequence. No other replica gets one before the commit, so that a reader who has seen
/// a sequence has seen all before it.
async fn write(tx: &mut PgConnection, mut row: Entitlement) -> Result<Entitlement, StoreError> {
    row.sequence = next(tx, "sequence", 1).await?.start;
    let sql = "INSERT INTO entitlements (user_id, sequence, generation, plan, paid, backing, status, ends, period_end,
                                         recheck_at, changed_at, confirmed_at, activated_at, roles, metadata, terms)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
               ON CONFLICT (user_id) DO UPDATE SET
                   sequence = excluded.sequence, generation = excluded.generation, plan = excluded.plan,
                   paid = excluded.paid, backing = excluded.backing, status = excluded.status,
                   ends = excluded.ends, period_end = excluded.period_end, recheck_at = excluded.recheck_at,
                   changed_at = excluded.changed_at, confirmed_at = excluded.confirmed_at,
                   activated_at = excluded.activated_at, roles = excluded.roles, metadata = excluded.metadata,
                   terms = excluded.terms";
    sqlx::query(sql)
        .bind(&row.user)
        .bind(row.sequence)
        .bind(row.generation)
        .bind(&row.derived.plan)
        .bind(row.derived.paid)
        .bind(&row.derived.backing)
        .bind(&row.derived.status)
        .bind(row.derived.ends)
        .bind(row.derived.period_end)
        .bind(row.derived.recheck_at)
        .bind(row.changed_at)
        .bind(row.confirmed_at)
        .bind(row.activated_at)
        .bind(row.roles.as_deref().map(list_of))
        .bind(&row.metadata)
        .bind(&row.derived.terms)
        .execute(tx)
        .await?;
    Ok(row)
}

pub(super) async fn by_user(
    connection: &mut PgConnection,
    user: &str,
) -> Result<Option<Entitlement>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM entitlements WHERE user_id = $1"
    );
    let row = sqlx::query(sql).bind(user);
    let row = row.fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn by_users(
    connection: &mut PgConnection,
    users: &[String],
) -> Result<Vec<Entitlement>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM entitlements WHERE user_id = ANY($1)"
    );
    let rows = sqlx::query(sql).bind(users).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn after(
    connection: &mut PgConnection,
    sequence: i64,
    limit: u32,
) -> Result<Vec<Entitlement>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM entitlements WHERE sequence > $1 ORDER BY sequence LIMIT $2"
    );
    let rows = sqlx::query(sql).bind(sequence).bind(i64::from(limit));
    rows.fetch_all(connection).await?.iter().map(read).collect()
}

/// Walks the sequence backwards. Both sides are made lower case as ASCII is, and nothing in the text is a wildcard.
pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &UserFilter,
) -> Result<Vec<Entitlement>, StoreError> {
    let sql = concat!("SELECT ", columns!(), " FROM entitlements
               WHERE ($1::TEXT IS NULL OR STRPOS(LOWER(user_id), $1) > 0) AND ($2::TEXT IS NULL OR plan = $2)
               ORDER BY sequence DESC LIMIT $3");
    let is_nul = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains('\0'));
    if is_nul(&filter.contains) || is_nul(&filter.plan) {
        // No text here has one, and the database takes none.
        return Ok(Vec::new());
    }
    let contains = filter.contains.as_deref().map(str::to_ascii_lowercase);
    let rows = sqlx::query(sql)
        .bind(contains)
        .bind(&filter.plan)
        .bind(i64::from(filter.limit.min(LONGEST_LIST)));
    rows.fetch_all(connection).await?.iter().map(read).collect()
}

/// Users whose time has come and who have no job: one that waits, runs or is dead will look at the present anyway when
/// it is tried, and must not be hurried for this.
pub(super) async fn due(
    connection: &mut PgConnection,
    now: UnixMillis,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT user_id FROM entitlements
               WHERE recheck_at <= $1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE key = 'user:' || user_id)
               ORDER BY recheck_at LIMIT $2";
    let users = sqlx::query_scalar(sql).bind(now).bind(RECHECKED_AT_ONCE);
    Ok(users.fetch_all(connection).await?)
}

/// Asks for the jobs of those who are [`due`], and says how many.
pub(super) async fn recheck(tx: &mut PgConnection, now: UnixMillis) -> Result<u64, StoreError> {
    let requests: Vec<Request> = due(tx, now)
        .await?
        .into_iter()
        .map(|user| Request {
            key: JobKey::User(user),
            cause: Cause {
                why: "recheck".to_owned(),
                event: None,
            },
            priority: Priority::Background,
            now,
        })
        .collect();
    jobs::ask_all(tx, &requests).await?;
    Ok(requests.len() as u64)
}

pub(super) async fn of_other_terms(
    connection: &mut PgConnection,
    terms: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT user_id FROM entitlements
               WHERE terms IS DISTINCT FROM $1 AND user_id > $2
               ORDER BY user_id LIMIT $3";
    let users = sqlx::query_scalar(sql).bind(terms).bind(after);
    Ok(users.bind(i64::from(limit)).fetch_all(connection).await?)
}

fn read(row: &PgRow) -> Result<Entitlement, StoreError> {
    let roles: Option<String> = row.try_get("roles")?;
    let roles = roles.map(|roles| serde_json::from_str(&roles)).transpose();
    Ok(Entitlement {
        user: row.try_get("user_id")?,
        derived: Derived {
            plan: row.try_get("plan")?,
            paid: row.try_get("paid")?,
            backing: row.try_get("backing")?,
            status: row.try_get("status")?,
            ends: row.try_get("ends")?,
            period_end: row.try_get("period_end")?,
            recheck_at: row.try_get("recheck_at")?,
            terms: row.try_get("terms")?,
        },
        sequence: row.try_get("sequence")?,
        generation: row.try_get("generation")?,
        changed_at: row.try_get("changed_at")?,
        confirmed_at: row.try_get("confirmed_at")?,
        roles: roles.map_err(|error| StoreError::Corrupt(format!("roles: {error}")))?,
        activated_at: row.try_get("activated_at")?,
        metadata: row.try_get("metadata")?,
    })
}
