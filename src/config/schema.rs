//! The JSON Schema of the config file.

use schemars::generate::SchemaSettings;

use super::raw::Document;

/// The JSON Schema (draft 2020-12) of the config file, as text.
#[must_use]
pub fn schema() -> String {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Document>();
    schema.insert("title".to_owned(), "Tollgate".into());
    let mut text = format!("{:#}", schema.as_value());
    text.push('\n');
    text
}
