//! The style, the script and the icon: part of the program, so that there is nothing to install.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::page::answer;

/// A file that pages ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asset {
    Style,
    Script,
    Icon,
}

impl Asset {
    /// The one with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "console.css" => Some(Self::Style),
            "console.js" => Some(Self::Script),
            "icon.svg" => Some(Self::Icon),
            _ => None,
        }
    }

    pub(super) fn answer(self) -> Response<Full<Bytes>> {
        let (kind, text) = match self {
            Self::Style => ("text/css; charset=utf-8", include_str!("console.css")),
            Self::Script => ("text/javascript; charset=utf-8", include_str!("console.js")),
            Self::Icon => ("image/svg+xml", include_str!("icon.svg")),
        };
        answer(StatusCode::OK, kind, text)
    }
}
