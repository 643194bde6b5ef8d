//! What `check`, `explain` and the console say would become of a request, worked out from the file alone.

use http::Method;
use tollgate::gate::{Verdict, made_up, verdict};

use super::{GOOD, read};

const ROUTES: &str = "
  - { path: /any, any_permission: [premium, staff] }
  - { path: /all, permissions: [premium, staff] }
  - { path: /one, permissions: [premium] }
";

fn asked(path: &str) -> Verdict {
    let text = GOOD.replace("\n  - { path: /a, access: authenticated }\n", ROUTES);
    let config = read(&text).unwrap_or_else(|report| panic!("{report}"));
    verdict(&config.gate, &Method::GET, path, made_up(&[]))
}

#[test]
fn the_plans_named_are_those_that_the_refusal_itself_would_name() {
    for (path, upgrade) in [
        ("/any", vec!["monthly"]),
        ("/one", vec!["monthly"]),
        // No plan brings `staff`.
        ("/all", vec![]),
    ] {
        let verdict = asked(path);
        assert_eq!(verdict.upgrade, upgrade, "{path}");
        assert_eq!(verdict.refused.map(|status| status.as_u16()), Some(403));
    }
}
