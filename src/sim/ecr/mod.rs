//! ECR: repositories of a region, and the images in them. JSON 1.1.
//!
//! Nobody pushes layers here: what a tag says is what becomes of its image, see `conduct` and `image`. Codes are those of
//! the service model, messages those of real accounts. Replication, pull through caches, signing and scan findings are not
//! modelled.

mod authorization;
pub mod conduct;
pub mod image;
mod policy;
pub mod repository;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows, Token};
use super::select::{self, Paging};
use super::service::{Action, Service, no_secrets};
use super::table::Table;
use super::tags::{self, Tags};
use super::tx::{Tx, resource};
use super::wire::{Params, Protocol, epoch};

pub use conduct::Conduct;
pub use image::ContainerImage;
pub use repository::Repository;

pub const SERVICE: Service = Service {
    name: "ecr",
    protocol: Protocol::Json("AmazonEC2ContainerRegistry_V20150921"),
    namespace: "",
    actions: &[authorization::ACTIONS, image::ACTIONS, policy::ACTIONS, repository::ACTIONS],
    sanitise: no_secrets,
};

/// What ECR holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ecr {
    container_images: Table<ContainerImage>,
    repositories: Table<Repository>,
}

const PAGES: &str = "maxResults nextToken";
const PAGING: Paging = Paging {
    size: "maxResults",
    token: "nextToken",
    default: 100,
    sizes: 1..=1000,
    invalid_token: "InvalidParameterException",
};

/// Of pages that are read.
const TOKEN: Token = ("nextToken", "nextToken");

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

/// As ECR words what is outside of a parameter's constraint.
fn constrained(parameter: &str, why: &str) -> AwsError {
    invalid(format!("Invalid parameter at '{parameter}' failed to satisfy constraint: '{why}'"))
}

/// Names only: requests for another account's registry are not modelled.
fn named<'p>(tx: &Tx, p: &'p Params) -> Result<&'p str, AwsError> {
    match p.opt_str("registryId") {
        Some(registry) if registry != tx.scope.account => {
            Err(AwsError::not_modelled("InvalidParameterException", "registry", registry, tx.action))
        }
        _ => p.str("repositoryName"),
    }
}

/// The repository that a request names.
fn repository<'t>(tx: &'t Tx, p: &Params) -> Result<&'t Repository, AwsError> {
    let name = named(tx, p)?;
    tx.get::<Repository>(name).map_err(|error| in_registry(tx, error))
}

fn repository_mut<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Repository, AwsError> {
    let (name, registry) = (named(tx, p)?.to_owned(), tx.scope.account.clone());
    tx.get_mut::<Repository>(&name).map_err(|error| of_registry(&registry, error))
}

fn in_registry(tx: &Tx, error: AwsError) -> AwsError {
    of_registry(&tx.scope.account, error)
}

/// ECR says where it looked.
fn of_registry(registry: &str, error: AwsError) -> AwsError {
    match error.code.as_str() {
        "RepositoryNotFoundException" => {
            AwsError { message: format!("{} in the registry with id '{registry}'", error.message), ..error }
        }
        _ => error,
    }
}
