//! The tables of a ledger, the same in every database, and their rows without a database.

use aws_lc_rs::digest::{Context, SHA256};

/// A table.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Counts the rows that a new ledger does not have.
    pub(super) occupied: &'static str,
    /// How many columns, from the first, are the key.
    keys: usize,
    pub(super) columns: &'static [(&'static str, Kind)],
}

/// What a column holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Integer,
    Flag,
    Bytes,
}

/// What a row holds in one column.
#[derive(Clone)]
pub(super) enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Flag(Option<bool>),
    Bytes(Option<Vec<u8>>),
}

use Kind::{Bytes, Flag, Integer, Text};

/// Each after those that it refers to.
pub(super) const TABLES: [Table; 10] = [
    Table {
        name: "counters",
        occupied: "SELECT COUNT(*) FROM counters WHERE value <> 0",
        keys: 1,
        columns: &[("name", Text), ("value", Integer)],
    },
    Table {
        name: "events",
        occupied: "SELECT COUNT(*) FROM events",
        keys: 1,
        columns: &[
            ("number", Integer),
            ("id", Text),
            ("event_type", Text),
            ("live", Flag),
            ("created_at", Integer),
            ("received_at", Integer),
            ("processed_at", Integer),
            ("state", Text),
            ("reason", Text),
            ("customer", Text),
            ("user_id", Text),
            ("object_kind", Text),
            ("object_id", Text),
            ("body", Bytes),
        ],
    },
    Table {
        name: "jobs",
        occupied: "SELECT COUNT(*) FROM jobs",
        keys: 1,
        columns: &[
            ("key", Text),
            ("state", Text),
            ("priority", Integer),
            ("generation", Integer),
            ("attempts", Integer),
            ("since", Integer),
            ("run_at", Integer),
            ("asked_at", Integer),
            ("why", Text),
            ("event", Text),
            ("lease", Text),
            ("error", Text),
        ],
    },
    Table {
        name: "event_jobs",
        occupied: "SELECT COUNT(*) FROM event_jobs",
        keys: 2,
        columns: &[("job", Text), ("event", Integer), ("generation", Integer)],
    },
    Table {
        name: "customers",
        occupied: "SELECT COUNT(*) FROM customers",
        keys: 2,
        columns: &[
            ("customer", Text),
            ("user_id", Text),
            ("kind", Integer),
            ("created_at", Integer),
            ("deleted", Flag),
        ],
    },
    Table {
        name: "purchases",
        occupied: "SELECT COUNT(*) FROM purchases",
        keys: 1,
        columns: &[
            ("session", Text),
            ("user_id", Text),
            ("customer", Text),
            ("plan", Text),
            ("state", Text),
            ("created_at", Integer),
        ],
    },
    Table {
        name: "entitlements",
        occupied: "SELECT COUNT(*) FROM entitlements",
        keys: 1,
        columns: &[
            ("user_id", Text),
            ("sequence", Integer),
            ("generation", Integer),
            ("plan", Text),
            ("paid", Flag),
            ("backing", Text),
            ("status", Text),
            ("ends", Flag),
            ("period_end", Integer),
            ("recheck_at", Integer),
            ("changed_at", Integer),
            ("confirmed_at", Integer),
            ("activated_at", Integer),
            ("roles", Text),
            ("metadata", Text),
            ("terms", Text),
        ],
    },
    Table {
        name: "role_changes",
        occupied: "SELECT COUNT(*) FROM role_changes",
        keys: 1,
        columns: &[
            ("number", Integer),
            ("user_id", Text),
            ("action", Text),
            ("subject", Text),
            ("plan", Text),
            ("why", Text),
            ("event", Text),
            ("at", Integer),
            ("error", Text),
        ],
    },
    Table {
        name: "looks",
        occupied: "SELECT COUNT(*) FROM looks",
        keys: 1,
        columns: &[
            ("id", Integer),
            ("started_at", Integer),
            ("ended_at", Integer),
            ("position", Text),
            ("total", Integer),
            ("checked", Integer),
            ("drifted", Integer),
            ("lease", Text),
            ("lease_until", Integer),
        ],
    },
    Table {
        name: "drift",
        occupied: "SELECT COUNT(*) FROM drift",
        keys: 1,
        columns: &[
            ("subject", Text),
            ("kind", Text),
            ("user_id", Text),
            ("customer", Text),
            ("plan", Text),
            ("roles", Text),
            ("why", Text),
            ("found_at", Integer),
            ("look", Integer),
        ],
    },
];

impl Table {
    /// `number, id, …`
    pub(super) fn column_list(&self) -> String {
        list(self.columns)
    }

    /// The columns of the key, likewise.
    pub(super) fn key_list(&self) -> String {
        list(self.columns.get(..self.keys).unwrap_or_default())
    }

    /// The key of a row.
    pub(super) fn key(&self, row: &[Value]) -> Vec<Value> {
        row.iter().take(self.keys).cloned().collect()
    }
}

fn list(columns: &[(&str, Kind)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// How many rows were read, and a digest of all they hold.
pub(super) struct Seal {
    pub(super) rows: u64,
    content: Context,
}

impl Default for Seal {
    fn default() -> Self {
        Self {
            rows: 0,
            content: Context::new(&SHA256),
        }
    }
}

impl PartialEq for Seal {
    fn eq(&self, other: &Self) -> bool {
        let digest = |seal: &Self| seal.content.clone().finish();
        self.rows == other.rows && digest(self).as_ref() == digest(other).as_ref()
    }
}

impl Seal {
    /// Adds the next row. Each value stands with its length, so that none runs into the next.
    pub(super) fn add(&mut self, row: &[Value]) {
        self.rows += 1;
        for value in row {
            match value {
                Value::Text(value) => self.value(value.as_deref().map(str::as_bytes)),
                Value::Integer(value) => {
                    self.value(value.map(i64::to_be_bytes).as_ref().map(|b| &b[..]));
                }
                Value::Flag(value) => {
                    self.value(value.map(|flag| [u8::from(flag)]).as_ref().map(|b| &b[..]));
                }
                Value::Bytes(value) => self.value(value.as_deref()),
            }
        }
    }

    fn value(&mut self, value: Option<&[u8]>) {
        let Some(value) = value else {
            return self.content.update(&[0]);
        };
        self.content.update(&[1]);
        self.content.update(&(value.len() as u64).to_be_bytes());
        self.content.update(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_tells_rows_apart_that_read_alike() {
        let text = |text: &str| Value::Text(Some(text.to_owned()));
        let sealed = |rows: &[Vec<Value>]| {
            let mut seal = Seal::default();
            for row in rows {
                seal.add(row);
            }
            seal
        };
        let one = sealed(&[vec![text("ab"), text("c")]]);
        assert!(one == sealed(&[vec![text("ab"), text("c")]]));
        for other in [
            sealed(&[vec![text("a"), text("bc")]]),
            sealed(&[vec![text("ab")], vec![text("c")]]),
            sealed(&[vec![text("ab"), Value::Text(None)]]),
            sealed(&[]),
        ] {
            assert!(one != other);
        }
    }
}
