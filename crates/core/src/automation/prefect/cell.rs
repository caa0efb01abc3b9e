//! The state of an automation as cells: one per bucket, per child firing and per schedule.
//!
//! Keys: `bucket <path> <key>`, `child <path of the child>`, `next <path>`; a path is empty for the root and has no
//! space, so the key of a bucket may be any text. Invariant: [`restore`] of all that [`take`] ever gave, newest value
//! of each key, is the same state. A cell that cannot be read is dropped; the state it held begins afresh.

use super::bucket::Bucket;
use super::composite::ChildFiring;
use super::leaf::NextRun;
use super::{Watch, event_trigger};
use crate::automation::definition::{Automation, AutomationId};
use crate::automation::edit::Cell;
use crate::automation::matching;
use serde::Serialize;

/// Tells what changed.
pub(super) fn take(watch: &mut Watch, automation: AutomationId, cells: &mut Vec<Cell>) {
    let mut tell = |key: String, body: Option<String>| cells.push(Cell { automation: Some(automation), key, body });
    for planted in &mut watch.leaves {
        for (key, bucket) in planted.leaf.buckets.take_changed() {
            tell(format!("bucket {} {key}", planted.path), bucket.and_then(|bucket| body(&bucket)));
        }
        if let Some(next) = planted.leaf.take_schedule() {
            tell(format!("next {}", planted.path), next.and_then(|next| body(&next)));
        }
    }
    for composite in &mut watch.composites {
        let path = composite.path.clone();
        for (child, fired) in composite.take_changed() {
            tell(format!("child {}", matching::child_path(&path, child)), fired.and_then(body));
        }
    }
}

/// Takes back what [`take`] told.
pub(super) fn restore(watch: &mut Watch, automation: &Automation, cells: &[Cell]) {
    for cell in cells {
        let Some(body) = &cell.body else { continue };
        let Some((kind, rest)) = cell.key.split_once(' ') else { continue };
        match kind {
            "bucket" => restore_bucket(watch, automation, rest, body),
            "next" => restore_schedule(watch, rest, body),
            "child" => restore_child(watch, rest, body),
            _ => {}
        }
    }
}

fn restore_bucket(watch: &mut Watch, automation: &Automation, path_and_key: &str, body: &str) {
    let Some((path, key)) = path_and_key.split_once(' ') else { return };
    let Some(index) = watch.leaves.iter().position(|planted| &*planted.path == path) else { return };
    let Some(trigger) = event_trigger(automation, index) else { return };
    if let Ok(bucket) = serde_json::from_str::<Bucket>(body) {
        watch.leaves[index].leaf.restore_bucket(trigger, key, bucket);
    }
}

fn restore_schedule(watch: &mut Watch, path: &str, body: &str) {
    let Some(planted) = watch.leaves.iter_mut().find(|planted| &*planted.path == path) else { return };
    if let Ok(next) = serde_json::from_str::<NextRun>(body) {
        planted.leaf.restore_schedule(next);
    }
}

fn restore_child(watch: &mut Watch, path: &str, body: &str) {
    let (parent, child) = path.rsplit_once('.').unwrap_or(("", path));
    let Some(composite) = watch.composites.iter_mut().find(|composite| &*composite.path == parent) else { return };
    let (Ok(child), Ok(fired)) = (child.parse(), serde_json::from_str::<ChildFiring>(body)) else { return };
    composite.restore(child, fired);
}

fn body(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}
