//! `tollgate schema`: the JSON Schema of the config file.

use std::io::{self, Write};

/// Prints the schema; the exit status is always 0.
///
/// # Errors
///
/// When `out` cannot be written to.
pub(crate) fn run(out: &mut dyn Write) -> io::Result<u8> {
    out.write_all(crate::config::schema().as_bytes())?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_json() {
        let mut out = Vec::new();
        assert_eq!(super::run(&mut out).unwrap(), 0);
        let schema: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
    }
}
