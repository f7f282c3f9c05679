//! Everything but the sending.

use super::{
    chain::hexed,
    node::{ChainNode, NodeError, TxStatus},
};
use async_trait::async_trait;
use codec::{Compact, Decode, Encode};
use futures::{StreamExt, stream::BoxStream};
use prb_core::id::Hash;
use serde_json::{Value, json};
use std::sync::Arc;

/// A node that is asked everything and given nothing: what would be submitted is estimated and logged.
///
/// A trader on it encodes, signs and batches as ever; give it [`Journal::memory`](crate::journal::Journal::memory), as
/// nothing of it happened. Its extrinsics expire, and whoever submitted the jobs may submit them again.
pub struct DryRun(Arc<dyn ChainNode>);

impl DryRun {
    /// Over the node, or nodes, that would be used.
    pub fn new(node: Arc<dyn ChainNode>) -> Self {
        Self(node)
    }

    /// The fee that would be paid, planck, by `TransactionPaymentApi.query_info`.
    async fn fee(&self, extrinsic: &[u8]) -> Result<u128, NodeError> {
        let mut arguments = extrinsic.to_vec();
        u32::try_from(extrinsic.len()).unwrap_or(u32::MAX).encode_to(&mut arguments);
        let params = json!(["TransactionPaymentApi_query_info", hexed(&arguments)]);
        let answer = self.0.request("state_call", params).await?;
        let bytes = answer.as_str().and_then(|text| hex::decode(text.strip_prefix("0x")?).ok());
        // Weight (time, proof size), class, fee.
        let info =
            bytes.and_then(|bytes| <(Compact<u64>, Compact<u64>, u8, u128)>::decode(&mut &bytes[..]).ok());
        info.map(|info| info.3).ok_or_else(|| NodeError::Nonsense(format!("{answer} for a fee")))
    }

    /// What the node says about it, if it lets itself be asked: `system_dryRun` is unsafe for nodes open to everybody.
    async fn verdict(&self, extrinsic: &[u8]) -> String {
        match self.0.request("system_dryRun", json!([hexed(extrinsic)])).await {
            // `Ok(Ok(()))` of `ApplyExtrinsicResult`.
            Ok(Value::String(text)) if text == "0x0000" => "applies".to_owned(),
            Ok(answer) => format!("does not apply: {answer}"),
            Err(error) => format!("not known, {error}"),
        }
    }
}

#[async_trait]
impl ChainNode for DryRun {
    async fn request(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        // The trader repeats what was not included; that must not happen either.
        if method.starts_with("author_") {
            return Ok(Value::Null);
        }
        self.0.request(method, params).await
    }

    async fn submit(&self, extrinsic: &[u8]) -> Result<BoxStream<'static, TxStatus>, NodeError> {
        let (hash, bytes) = (Hash::of(extrinsic), extrinsic.len());
        let verdict = self.verdict(extrinsic).await;
        match self.fee(extrinsic).await {
            Ok(fee) => {
                tracing::info!(extrinsic = %hash, bytes, fee_planck = %fee, verdict, "dry run: not submitted")
            }
            Err(error) => {
                tracing::info!(extrinsic = %hash, bytes, fee_planck = %error, verdict, "dry run: not submitted")
            }
        }
        metrics::counter!("prb_tx_dry_run_total").increment(1);
        Ok(futures::stream::empty().boxed())
    }

    fn connection(&self) -> u64 {
        self.0.connection()
    }

    fn doubt(&self, why: &NodeError) {
        self.0.doubt(why);
    }

    fn endpoint(&self) -> String {
        self.0.endpoint()
    }
}
