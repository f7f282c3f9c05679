//! What a store holds, and what it would hold after an append: the checks every store makes.

use codec::{Decode, Encode};
use prb_core::{
    id::Height,
    port::{Append, Blob, Coverage, Cursor, Genesis, RelayAppend, StoreError, Stream, source::ChainIdentity},
    span::Span,
    types::sync::ChangesForm,
};

/// What of a stream with an item at every height is covered.
pub(crate) fn covered(coverage: &Coverage, stream: Stream) -> Option<Span> {
    match stream {
        Stream::RelayHeaders => coverage.relay,
        Stream::ParaHeaders => coverage.para,
        Stream::Changes => coverage.changes,
        Stream::Justifications | Stream::ParaHeads | Stream::SetChanges => None,
    }
}

/// The ends of every stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Which chains, none while the store is empty.
    pub(crate) root: Option<Root>,
    pub(crate) relay: Option<Span>,
    pub(crate) para: Option<Span>,
    pub(crate) changes: Option<Span>,
    /// Form of the changes, none where there are none.
    pub(crate) changes_form: Option<ChangesForm>,
    /// The last rung, if the next relay append replaces it.
    pub(crate) open_tip: Option<Height>,
}

/// What of the genesis every append is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Root {
    pub(crate) identity: ChainIdentity,
    /// The start block on the relay chain.
    pub(crate) start: Height,
    pub(crate) parachain: bool,
}

impl Root {
    pub(crate) fn of(genesis: &Genesis) -> Self {
        Self { identity: genesis.identity(), start: genesis.start().height, parachain: genesis.parachain }
    }

    /// Refuses data of other chains.
    pub(crate) fn admit(&self, offered: ChainIdentity) -> Result<(), StoreError> {
        if self.identity == offered {
            return Ok(());
        }
        Err(StoreError::ForeignChain { stored: Box::new(self.identity), offered: Box::new(offered) })
    }
}

impl Extent {
    /// The extent after `append`, or why that cannot be added.
    pub(crate) fn after(&self, append: &Append) -> Result<Self, StoreError> {
        let root = self.root_after(append)?;
        let relay = append.relay.as_ref();
        let after = Self {
            root: Some(root),
            relay: match relay {
                Some(relay) => grown(Stream::RelayHeaders, self.relay, root.start.next(), &relay.headers)?,
                None => self.relay,
            },
            para: grown(Stream::ParaHeaders, self.para, Height(0), &append.para_headers)?,
            changes: grown(Stream::Changes, self.changes, Height(1), &append.changes)?,
            changes_form: form_after(self.changes_form, append),
            open_tip: match relay {
                Some(relay) => relay.headers.last().map(|last| last.height).filter(|_| !relay.closes_set),
                None => self.open_tip,
            },
        };
        if let Some(relay) = relay {
            check_relay(relay)?;
        }
        let cursor = append.cursor.as_ref().ok_or_else(|| inconsistent("it carries no cursor"))?;
        after.check_cursor(root, cursor)?;
        if cursor.state.is_none() && !append.nodes.is_empty() {
            return Err(inconsistent("it changes nodes of a state copy that its cursor does not have"));
        }
        Ok(after)
    }

    /// What to tell readers, none while the store is empty.
    pub(crate) fn coverage(&self, cursor: &Cursor) -> Option<Coverage> {
        let root = self.root?;
        Some(Coverage {
            identity: root.identity,
            parachain: root.parachain,
            relay: self.relay,
            para: self.para,
            changes: self.changes,
            state_verified: cursor.state.is_some_and(|(height, _)| height >= cursor.changes),
            changes_form: self.changes_form,
        })
    }

    fn root_after(&self, append: &Append) -> Result<Root, StoreError> {
        match (&self.root, &append.genesis) {
            (None, None) => Err(inconsistent("the first one must carry the genesis")),
            (None, Some(genesis)) => Ok(Root::of(genesis)),
            (Some(root), None) => Ok(*root),
            (Some(root), Some(genesis)) => root.admit(genesis.identity()).map(|()| *root),
        }
    }

    fn check_cursor(&self, root: Root, cursor: &Cursor) -> Result<(), StoreError> {
        let relay = self.relay.map_or(root.start, Span::last);
        if cursor.relay.height != relay {
            return Err(inconsistent(format!(
                "its cursor is at relay block {}, its data ends at {relay}",
                cursor.relay.height
            )));
        }
        let (named, stored) = (cursor.para.map(|para| para.height), self.para.map(Span::last));
        if named != stored {
            return Err(inconsistent(format!(
                "its cursor is at parachain block {}, its data ends at {}",
                shown(named),
                shown(stored)
            )));
        }
        let changes = self.changes.map_or(Height(0), Span::last);
        if cursor.changes != changes {
            return Err(inconsistent(format!(
                "its cursor is at changes of block {}, its data ends at {changes}",
                cursor.changes
            )));
        }
        Ok(())
    }
}

fn form_after(before: Option<ChangesForm>, append: &Append) -> Option<ChangesForm> {
    if append.changes.is_empty() {
        return before;
    }
    let added = append.changes_form.unwrap_or(ChangesForm::Mixed);
    Some(before.map_or(added, |before| before.and(added)))
}

pub(crate) fn inconsistent(why: impl Into<String>) -> StoreError {
    StoreError::Inconsistent(why.into())
}

fn shown(height: Option<Height>) -> String {
    height.map_or_else(|| "none".to_owned(), |height| height.to_string())
}

/// `span` with `blobs` behind it; `first` is where an empty stream begins.
fn grown(
    stream: Stream,
    span: Option<Span>,
    first: Height,
    blobs: &[Blob],
) -> Result<Option<Span>, StoreError> {
    let mut expected = span.map_or(first, |span| span.last().next());
    for blob in blobs {
        if blob.height != expected {
            return Err(StoreError::Gap { stream, expected, offered: blob.height });
        }
        expected = expected.next();
    }
    Ok(match blobs.last() {
        Some(last) => Span::new(span.map_or(first, Span::first), last.height),
        None => span,
    })
}

fn check_relay(relay: &RelayAppend) -> Result<(), StoreError> {
    if relay.headers.is_empty() {
        return Err(inconsistent("its relay part has no header"));
    }
    if relay.set_change.is_some() && !relay.closes_set {
        return Err(inconsistent("it proves a change of authorities at a block that announces none"));
    }
    Ok(())
}
