//! Whole numbers with a bottom and a top: beyond the top lies what no machine has, and what the code below cannot bear.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::read::{Read, whole, wrong_kind};
use super::report::{Mistake, Mistakes};
use super::tree::Node;

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within<T, const LEAST: u32, const MOST: u32>(pub(crate) T);

impl<T: TryFrom<u32>, const LEAST: u32, const MOST: u32> Read for Within<T, LEAST, MOST> {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let Some(number) = whole(node) else {
            return wrong_kind(node, "a whole number", mistakes);
        };
        let fits = |number: &u32| (LEAST..=MOST).contains(number);
        let small = u32::try_from(number).ok().filter(fits);
        if let Some(value) = small.and_then(|number| T::try_from(number).ok()) {
            return Some(Self(value));
        }
        let message = if number < i128::from(LEAST) {
            match LEAST {
                1 => "this must be more than 0".to_owned(),
                least => format!("this must be {least} or more"),
            }
        } else {
            format!("this must be {MOST} or less")
        };
        let help = format!("write a whole number from {LEAST} to {MOST}");
        mistakes.none(Mistake::new(node.place, message).help(help))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": LEAST,
            "maximum": MOST,
            "pattern": "\\$\\{",
        })
    }
}
