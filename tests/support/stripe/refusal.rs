//! How the API says no.

use serde_json::{Value, json};

/// An answer that is no object.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    param: Option<String>,
}

impl Refusal {
    /// 400, `invalid_request_error`.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            code: None,
            message: message.into(),
            param: None,
        }
    }

    /// 400, for an object that a parameter names and that is not there.
    pub(super) fn no_such(object: &str, id: &str, param: &str) -> Self {
        Self::invalid(format!("No such {object}: '{id}'"))
            .code("resource_missing")
            .param(param)
    }

    /// The parameter is required.
    pub(super) fn required(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}."))
            .code("parameter_missing")
            .param(param)
    }

    /// 500 and its kin.
    pub(super) fn broken(status: u16) -> Self {
        let message = "Sorry! There was an error while talking to one of our backends.";
        Self {
            kind: "api_error",
            ..Self::invalid(message).status(status)
        }
    }

    pub(super) fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    pub(super) fn code(self, code: &'static str) -> Self {
        let code = Some(code);
        Self { code, ..self }
    }

    pub(super) fn param(self, param: impl Into<String>) -> Self {
        let param = Some(param.into());
        Self { param, ..self }
    }

    pub(super) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Whether it was found before anything was done; such an answer is not kept under its idempotency key.
    pub(super) fn is_about_parameters(&self) -> bool {
        self.status == 400 && self.code != Some("resource_missing")
    }

    /// The body.
    pub(super) fn body(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message,
            "request_log_url": "https://dashboard.stripe.com/acct_standin/test/workbench/logs" });
        if let Some(code) = self.code {
            let page = code.replace('_', "-");
            error["code"] = code.into();
            error["doc_url"] = format!("https://stripe.com/docs/error-codes/{page}").into();
        }
        if let Some(param) = &self.param {
            error["param"] = param.as_str().into();
        }
        json!({ "error": error })
    }
}
