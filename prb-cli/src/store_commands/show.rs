//! What store commands print.

use codec::{Decode, DecodeAll};
use prb_core::{
    id::{Hash, Height},
    port::{Stream, store::ProvenHead},
    span::Span,
    types::{
        grandpa::{AuthoritySetChange, Justification},
        header::Header,
        sync::{ChangesForm, StorageChanges},
    },
};
use prb_store::{Stat, StoredItem, Verification};
use serde_json::{Value, json};
use std::io::{self, Write};

pub(super) fn stat(stat: &Stat, out: &mut dyn Write) -> io::Result<()> {
    match &stat.coverage {
        Some(coverage) => {
            let identity = &coverage.identity;
            writeln!(out, "relay chain     {}", identity.relay_chain)?;
            writeln!(out, "parachain       {} ({})", identity.para_genesis, identity.para_id)?;
            for (name, span) in spans(coverage.relay, coverage.para, coverage.changes) {
                let shown = span.map_or_else(|| "none".to_owned(), |span| span.to_string());
                writeln!(out, "{name:<15} {shown}")?;
            }
            let state = if coverage.state_verified { "verified" } else { "not verified" };
            writeln!(out, "state           {state}")?;
            if let Some(form) = coverage.changes_form {
                writeln!(out, "changes form    {form}")?;
            }
        }
        None => writeln!(out, "the store is empty")?,
    }
    writeln!(out, "format          {}", stat.format)?;
    writeln!(out, "file            {}, of it {} free", size(stat.file_bytes), size(stat.free_bytes))?;
    for table in &stat.tables {
        writeln!(
            out,
            "  {:<15} {:>12} items  {:>10}",
            table.part.to_string(),
            table.items,
            size(table.bytes)
        )?;
    }
    Ok(())
}

pub(super) fn stat_json(stat: &Stat, out: &mut dyn Write) -> io::Result<()> {
    let coverage = stat.coverage.as_ref().map(|coverage| {
        let identity = &coverage.identity;
        let spans = spans(coverage.relay, coverage.para, coverage.changes);
        let spans: serde_json::Map<_, _> =
            spans.into_iter().map(|(name, span)| (name.to_owned(), span_json(span))).collect();
        json!({
            "relay_chain": identity.relay_chain.to_string(),
            "start": identity.start.to_string(),
            "para_genesis": identity.para_genesis.to_string(),
            "para_id": identity.para_id,
            "state_verified": coverage.state_verified,
            "changes_form": coverage.changes_form.map(ChangesForm::name),
            "streams": spans,
        })
    });
    let tables: Vec<_> = stat
        .tables
        .iter()
        .map(|table| json!({"part": table.part.to_string(), "items": table.items, "bytes": table.bytes}))
        .collect();
    let answer = json!({
        "format": stat.format,
        "file_bytes": stat.file_bytes,
        "free_bytes": stat.free_bytes,
        "map_bytes": stat.map_bytes,
        "readers": stat.readers,
        "coverage": coverage,
        "tables": tables,
    });
    writeln!(out, "{answer}")
}

pub(super) fn verified(found: &Verification, out: &mut dyn Write) -> io::Result<()> {
    for tally in &found.tallies {
        let share = 100.0 * tally.stored_bytes as f64 / tally.plain_bytes.max(1) as f64;
        let share = if tally.items > 0 { format!("  {share:.0} %") } else { String::new() };
        writeln!(
            out,
            "{:<15} {:>12} items  {:>10} stored as {:>10}{share}",
            tally.part.to_string(),
            tally.items,
            size(tally.plain_bytes),
            size(tally.stored_bytes)
        )?;
    }
    for damage in &found.damaged {
        writeln!(out, "{damage}")?;
    }
    let more = found.damages - found.damaged.len() as u64;
    if more > 0 {
        writeln!(out, "and {more} more")?;
    }
    if found.damages == 0 {
        writeln!(out, "everything is whole")?;
    }
    Ok(())
}

pub(super) fn verified_json(found: &Verification, out: &mut dyn Write) -> io::Result<()> {
    let parts: Vec<_> = found
        .tallies
        .iter()
        .map(|tally| {
            json!({
                "part": tally.part.to_string(),
                "items": tally.items,
                "plain_bytes": tally.plain_bytes,
                "stored_bytes": tally.stored_bytes,
            })
        })
        .collect();
    let damaged: Vec<_> = found
        .damaged
        .iter()
        .map(
            |damage| json!({"part": damage.part.to_string(), "item": damage.item, "missing": damage.missing}),
        )
        .collect();
    writeln!(out, "{}", json!({"parts": parts, "damages": found.damages, "damaged": damaged}))
}

/// An item to show.
pub(super) struct Item {
    pub(super) stream: Stream,
    pub(super) height: Height,
    pub(super) item: StoredItem,
    pub(super) hex: bool,
}

impl Item {
    pub(super) fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { stream, height, item, hex } = self;
        writeln!(out, "{stream} at {height}: {} bytes", item.bytes.len())?;
        let with = item.dictionary.map(|number| format!(" {number}")).unwrap_or_default();
        writeln!(out, "stored          {} bytes, {}{with}", item.stored_bytes, item.encoding)?;
        writeln!(out, "blake2-256      {}", Hash::of(&item.bytes))?;
        match self.content() {
            Value::Object(content) => {
                for (name, value) in content {
                    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    writeln!(out, "{:<15} {shown}", name.replace('_', " "))?;
                }
            }
            _ => writeln!(out, "its bytes do not decode")?,
        }
        if *hex {
            writeln!(out, "0x{}", hex::encode(&item.bytes))?;
        }
        Ok(())
    }

    pub(super) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { stream, height, item, hex } = self;
        let answer = json!({
            "stream": stream.name(),
            "height": height.0,
            "bytes": item.bytes.len(),
            "stored_bytes": item.stored_bytes,
            "encoding": item.encoding,
            "dictionary": item.dictionary,
            "blake2_256": Hash::of(&item.bytes).to_string(),
            "content": self.content(),
            "hex": hex.then(|| format!("0x{}", hex::encode(&item.bytes))),
        });
        writeln!(out, "{answer}")
    }

    /// What its bytes say, null if they do not decode.
    fn content(&self) -> Value {
        let bytes = &self.item.bytes;
        match self.stream {
            Stream::RelayHeaders | Stream::ParaHeaders => content(bytes, |header: Header| {
                json!({
                    "number": header.number,
                    "parent": header.parent_hash.to_string(),
                    "state_root": header.state_root.to_string(),
                    "digest_items": header.digest.len(),
                    "closes_set": header.scheduled_change().is_some(),
                })
            }),
            Stream::Justifications => content(bytes, |justification: Justification| {
                json!({
                    "round": justification.round,
                    "target": justification.commit.target_number,
                    "target_hash": justification.commit.target_hash.to_string(),
                    "precommits": justification.commit.precommits.len(),
                    "ancestries": justification.votes_ancestries.len(),
                })
            }),
            Stream::ParaHeads => content(
                bytes,
                |head: ProvenHead| json!({"number": head.number.0, "proof_nodes": head.proof.len()}),
            ),
            Stream::SetChanges => content(bytes, |change: AuthoritySetChange| {
                json!({
                    "set": change.authority_set.id,
                    "authorities": change.authority_set.list.len(),
                    "proof_nodes": change.authority_proof.len(),
                })
            }),
            Stream::Changes => content(bytes, |changes: StorageChanges| {
                let main = &changes.main_storage_changes;
                json!({
                    "changes": main.len(),
                    "removals": main.iter().filter(|(_, value)| value.is_none()).count(),
                    "child_tries": changes.child_storage_changes.len(),
                })
            }),
        }
    }
}

fn content<T: Decode>(mut bytes: &[u8], show: impl FnOnce(T) -> Value) -> Value {
    T::decode_all(&mut bytes).map_or(Value::Null, show)
}

fn spans(
    relay: Option<Span>,
    para: Option<Span>,
    changes: Option<Span>,
) -> [(&'static str, Option<Span>); 3] {
    [
        (Stream::RelayHeaders.name(), relay),
        (Stream::ParaHeaders.name(), para),
        (Stream::Changes.name(), changes),
    ]
}

fn span_json(span: Option<Span>) -> Value {
    span.map_or(Value::Null, |span| json!({"first": span.first().0, "last": span.last().0}))
}

/// `bytes` for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}
