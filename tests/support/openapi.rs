//! Stripe's own description of its API, as a judge of requests: whether the call exists, and every parameter of it.
//!
//! The description lies beside the repository, not in it: [`Validator::load`] gives `None` where it is missing.

mod tree;

use std::path::Path;

use serde_json::{Map, Value};

pub(crate) use tree::{Tree, decode};

/// The description.
pub(crate) struct Validator {
    paths: Map<String, Value>,
}

impl Validator {
    /// Reads the description, where it is.
    pub(crate) fn load() -> Option<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/stripe-openapi.json");
        let text = std::fs::read_to_string(file).ok()?;
        let mut description: Value = serde_json::from_str(&text).expect("JSON");
        let Value::Object(paths) = description["paths"].take() else {
            unreachable!("a description without paths");
        };
        Some(Self { paths })
    }

    /// The path, as the description writes it, that `method` and `path` lead to.
    pub(crate) fn template(&self, method: &str, path: &str) -> Option<&str> {
        let fits = |template: &&String| {
            let method = self.paths[*template].get(method.to_ascii_lowercase());
            method.is_some() && leads_to(template, path)
        };
        // `/v1/customers/search` is no customer.
        let found = self.paths.keys().filter(fits);
        found
            .min_by_key(|template| template.matches('{').count())
            .map(String::as_str)
    }

    /// Checks a request: `form` is its query, or, of a POST, its body.
    ///
    /// # Errors
    ///
    /// What is not as the description says.
    pub(crate) fn check(&self, method: &str, path: &str, form: &str) -> Result<(), String> {
        let template = self.template(method, path);
        let template = template.ok_or_else(|| format!("there is no {method} {path}"))?;
        let operation = &self.paths[template][method.to_ascii_lowercase()];
        let parameters = decode(form)?;
        let schema = if method.eq_ignore_ascii_case("POST") {
            operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
                .clone()
        } else {
            query_schema(operation)
        };
        conforms(&Tree::Map(parameters), &schema, "")
            .map_err(|problem| format!("{method} {template}: {problem}"))
    }
}

fn leads_to(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    let segments = template.clone().count() == path.clone().count();
    segments
        && template.zip(path).all(|(wanted, found)| {
            (wanted.starts_with('{') && !found.is_empty()) || wanted == found
        })
}

/// The query parameters of an operation, as one object.
fn query_schema(operation: &Value) -> Value {
    let parameters = operation["parameters"].as_array().cloned();
    let query = parameters
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "query");
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for parameter in query {
        let name = parameter["name"].as_str().expect("a name");
        properties.insert(name.to_owned(), parameter["schema"].clone());
        if parameter["required"] == true {
            required.push(Value::from(name));
        }
    }
    serde_json::json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false
    })
}

fn conforms(tree: &Tree, schema: &Value, at: &str) -> Result<(), String> {
    if let Some(choices) = schema["anyOf"].as_array() {
        let verdicts: Vec<_> = choices.iter().map(|one| conforms(tree, one, at)).collect();
        return match verdicts.iter().find(|verdict| verdict.is_ok()) {
            Some(_) => Ok(()),
            None => Err(format!("{at}: {verdicts:?}")),
        };
    }
    match (schema["type"].as_str().unwrap_or("object"), tree) {
        ("object", Tree::Map(fields)) => object(fields, schema, at),
        ("array", Tree::Map(fields)) => array(fields, schema, at),
        ("object" | "array", Tree::Leaf(text)) => Err(format!("{at}: {text:?} is one value")),
        (_, Tree::Map(_)) => Err(format!("{at}: more than one value")),
        (kind, Tree::Leaf(text)) => leaf(kind, text, schema, at),
    }
}

fn object(fields: &tree::Fields, schema: &Value, at: &str) -> Result<(), String> {
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        if !fields.contains_key(name) {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    for (name, value) in fields {
        let known = schema["properties"].get(name);
        let any = Some(&schema["additionalProperties"]).filter(|other| other.is_object());
        let schema = known.or(any);
        let schema = schema.ok_or_else(|| format!("{at}: {name} is no parameter"))?;
        conforms(value, schema, &format!("{at}[{name}]"))?;
    }
    Ok(())
}

/// A list is written `x[0]`, `x[1]`, or `x[]` again and again, which [`decode`] numbers.
fn array(fields: &tree::Fields, schema: &Value, at: &str) -> Result<(), String> {
    for index in 0..fields.len() {
        let item = fields.get(&index.to_string());
        let item = item.ok_or_else(|| format!("{at}: a list without place {index}"))?;
        conforms(item, &schema["items"], &format!("{at}[{index}]"))?;
    }
    Ok(())
}

fn leaf(kind: &str, text: &str, schema: &Value, at: &str) -> Result<(), String> {
    let typed = match kind {
        "string" => true,
        "integer" => text.parse::<i64>().is_ok(),
        "number" => text.parse::<f64>().is_ok_and(f64::is_finite),
        "boolean" => ["true", "false"].contains(&text),
        _ => false,
    };
    let named = schema["enum"].as_array();
    let allowed = named.is_none_or(|words| words.iter().any(|word| word == text));
    let longest = schema["maxLength"].as_u64();
    let fits = longest.is_none_or(|longest| text.chars().count() as u64 <= longest);
    if typed && allowed && fits {
        Ok(())
    } else {
        Err(format!("{at}: {text:?} is not as {schema}"))
    }
}
