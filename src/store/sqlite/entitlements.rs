//! The table `entitlements`: what each user has a right to.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

use super::super::words::list_of;
use super::super::{
    Cause, Derived, Entitlement, Job, JobKey, LONGEST_LIST, Priority, StoreError, UnixMillis,
    UserFilter,
};
use super::{jobs, next};

/// Users whose jobs one transaction makes.
const RECHECKED_AT_ONCE: u32 = 1000;

pub(super) async fn derived(
    tx: &mut SqliteConnection,
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
    tx: &mut SqliteConnection,
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
    tx: &mut SqliteConnection,
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
async fn held(tx: &mut SqliteConnection, job: &Job) -> Result<Entitlement, StoreError> {
    let user = match &job.key {
        JobKey::User(user) => user,
        // Such a job is no right to write about any user.
        JobKey::Customer(_) | JobKey::Object(..) => return Err(StoreError::LeaseLost),
    };
    jobs::hold(tx, job).await?;
    let sql = "SELECT * FROM entitlements WHERE user_id = ?1";
    let row = sqlx::query(sql).bind(user).fetch_optional(tx).await?;
    let row = row.as_ref().map(read).transpose()?;
    Ok(row.unwrap_or_else(|| Entitlement {
        user: user.clone(),
        ..Entitlement::default()
    }))
}

async fn write(tx: &mut SqliteConnection, mut row: Entitlement) -> Result<Entitlement, StoreError> {
    row.sequence = next(tx, "sequence", 1).await?.start;
    let sql = "INSERT INTO entitlements (user_id, sequence, generation, plan, paid, backing, status, ends, period_end,
                                         recheck_at, changed_at, confirmed_at, activated_at, roles, metadata, terms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
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
    pool: &SqlitePool,
    user: &str,
) -> Result<Option<Entitlement>, StoreError> {
    let sql = "SELECT * FROM entitlements WHERE user_id = ?1";
    let row = sqlx::query(sql).bind(user).fetch_optional(pool).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn by_users(
    pool: &SqlitePool,
    users: &[String],
) -> Result<Vec<Entitlement>, StoreError> {
    let sql = "SELECT * FROM entitlements WHERE user_id IN (SELECT value FROM json_each(?1))";
    let rows = sqlx::query(sql)
        .bind(list_of(users))
        .fetch_all(pool)
        .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn after(
    pool: &SqlitePool,
    sequence: i64,
    limit: u32,
) -> Result<Vec<Entitlement>, StoreError> {
    let sql = "SELECT * FROM entitlements WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
    let rows = sqlx::query(sql).bind(sequence).bind(limit);
    rows.fetch_all(pool).await?.iter().map(read).collect()
}

/// Walks the sequence backwards. Both sides are made lower case as ASCII is, and nothing in the text is a wildcard.
pub(super) async fn list(
    pool: &SqlitePool,
    filter: &UserFilter,
) -> Result<Vec<Entitlement>, StoreError> {
    let sql = "SELECT * FROM entitlements
               WHERE (?1 IS NULL OR INSTR(LOWER(user_id), ?1) > 0) AND (?2 IS NULL OR plan = ?2)
               ORDER BY sequence DESC LIMIT ?3";
    let contains = filter.contains.as_deref().map(str::to_ascii_lowercase);
    let rows = sqlx::query(sql)
        .bind(contains)
        .bind(&filter.plan)
        .bind(filter.limit.min(LONGEST_LIST));
    rows.fetch_all(pool).await?.iter().map(read).collect()
}

/// Asks for the jobs of users whose time has come and who have none: one that waits, runs or is dead will look at the
/// present anyway when it is tried, and must not be hurried for this.
pub(super) async fn recheck(tx: &mut SqliteConnection, now: UnixMillis) -> Result<u64, StoreError> {
    let sql = "SELECT user_id FROM entitlements
               WHERE recheck_at <= ?1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE key = 'user:' || user_id)
               ORDER BY recheck_at LIMIT ?2";
    let users = sqlx::query_scalar::<_, String>(sql).bind(now);
    let users = users.bind(RECHECKED_AT_ONCE).fetch_all(&mut *tx).await?;
    let cause = Cause {
        why: "recheck".to_owned(),
        event: None,
    };
    let mut asked = 0;
    for user in users {
        let key = JobKey::User(user);
        jobs::ask(tx, &key, &cause, Priority::Background, now).await?;
        asked += 1;
    }
    Ok(asked)
}

pub(super) async fn of_other_terms(
    pool: &SqlitePool,
    terms: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT user_id FROM entitlements
               WHERE terms IS NOT ?1 AND user_id > ?2
               ORDER BY user_id LIMIT ?3";
    let users = sqlx::query_scalar(sql).bind(terms).bind(after).bind(limit);
    Ok(users.fetch_all(pool).await?)
}

fn read(row: &SqliteRow) -> Result<Entitlement, StoreError> {
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
