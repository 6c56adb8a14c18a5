//! Reads of services that have no SDK crate here.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use super::Ctx;
use crate::ops::Error;

impl Ctx {
    /// [`read`](Self::read) by name: `ctx.fetch::<Reply>("ecs:DescribeServices", &input)`. Input and reply are as AWS documents
    /// them; a member that is null or an empty element of XML is left out.
    ///
    /// # Errors
    /// As `read`.
    pub async fn fetch<O>(&self, call: &'static str, input: &impl Serialize) -> Result<O, Error>
    where
        O: DeserializeOwned + fmt::Debug + Send + Sync + 'static,
    {
        self.read(call, || self.aws().call(call, input).send()).await
    }
}
