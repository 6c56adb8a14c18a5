//! From settings to clients: endpoint, region, credentials, who we are.
//!
//! Credentials always have a client of their own, on the real clock: an expiring session must be
//! renewed in real time whatever the run's clock shows. With the simulated AWS nothing of the
//! environment is looked at.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, sts::AssumeRoleProvider, timeout::TimeoutConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_smithy_async::{
    rt::sleep::{AsyncSleep, Sleep},
    time::TimeSource,
};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::{
    http::SharedHttpClient, stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_smithy_types::retry::{ReconnectMode, RetryConfig};
use aws_types::{SdkConfig, app_name::AppName};
use thiserror::Error;

use super::{Clients, LiveAccounts, Scope, Transport, WireLog, retry};
use crate::{
    clock::Clock,
    ops::CallErrorKind,
    sim::Simulator,
    web::{self, Reply, Request, Trouble},
};

/// How long one attempt may take. The SDK has no limit of its own, and a hung socket would hang a
/// deploy. `RunInstances` with many instances answers within this.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// How often AWS is asked again who we are, when it cannot be reached.
const IDENTIFY_ATTEMPTS: usize = 3;

/// The account in which a simulated run takes place, when the environment names none.
pub const SIM_ACCOUNT: &str = "123456789012";
/// Its region, when the environment names none.
pub const SIM_REGION: &str = "us-east-1";

/// Where calls go.
#[derive(Clone, Debug)]
pub enum Endpoint {
    Aws,
    /// Any AWS-compatible endpoint.
    Url(String),
    Sim(Arc<Simulator>),
    /// A fork of live accounts: their rows are read, what is changed is changed in the simulator.
    Fork {
        simulator: Arc<Simulator>,
        live: Arc<LiveAccounts>,
    },
}

/// Who the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub account: String,
    pub arn: String,
    pub region: String,
    /// When the credentials end, if they do.
    pub expires: Option<SystemTime>,
}

/// Why no connection could be made.
#[derive(Debug, Error)]
pub enum ConnectError {
    #[error("no AWS region is set")]
    NoRegion,
    #[error("no AWS credentials were found: {0}")]
    NoCredentials(String),
    #[error("the credentials were refused: {0}")]
    Refused(String),
    #[error("AWS cannot be reached: {0}")]
    Unreachable(String),
    #[error("`{0}` is not the ARN of an IAM role")]
    BadRole(String),
    #[error("environment `{environment}` is account {wanted}, but these credentials belong to account {found}")]
    OtherAccount { environment: String, wanted: String, found: String },
}

impl ConnectError {
    /// Whether credentials or permissions are the cause.
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::NoCredentials(_) | Self::Refused(_) | Self::OtherAccount { .. })
    }

    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoRegion => "give the environment a `region` in runner.toml, or set AWS_REGION",
            Self::NoCredentials(_) => {
                "sign in (`aws sso login`, or set AWS_PROFILE or AWS_ACCESS_KEY_ID), or add `--sim` to run on the simulated AWS"
            }
            Self::Unreachable(_) => "check the network, and `--endpoint-url` or AWS_ENDPOINT_URL if one is set",
            Self::Refused(_) => "check them with `aws sts get-caller-identity`",
            Self::OtherAccount { .. } => {
                "sign in to the right account, or give the environment a `role_arn` in runner.toml"
            }
            Self::BadRole(_) => "write it as `arn:aws:iam::123456789012:role/NAME`",
        }
    }
}

/// Makes clients, one set per scope.
#[derive(Debug)]
pub struct Connections {
    endpoint: Endpoint,
    clock: Clock,
    app_name: Option<AppName>,
    log: OnceLock<Arc<WireLog>>,
    made: Mutex<BTreeMap<Scope, Arc<Clients>>>,
    /// Of each role, shared by all clients that act as it: a role is assumed once, not once for each service.
    providers: Mutex<BTreeMap<Role, SharedCredentialsProvider>>,
}

/// The ARN of a role and its external id; none: the credentials as they are found.
type Role = (Option<String>, Option<String>);

impl Connections {
    /// `run` goes into the user agent of every request, so that CloudTrail can tell runs apart.
    pub fn new(endpoint: Endpoint, clock: Clock, run: &str) -> Self {
        let app_name = AppName::new(format!("runner-{}-{run}", env!("CARGO_PKG_VERSION"))).ok();
        let (made, providers) = (Mutex::default(), Mutex::default());
        Self { endpoint, clock, app_name, log: OnceLock::new(), made, providers }
    }

    /// Writes down what is sent from now on, and what comes back.
    pub fn record(&self, log: WireLog) {
        // A second one has nothing to add.
        let _ = self.log.set(Arc::new(log));
    }

    /// Why what was sent could not be written down, if it could not.
    pub fn record_failure(&self) -> Option<String> {
        self.log.get()?.failure()
    }

    /// The clients of `scope`, with the identity they act as.
    pub async fn clients(&self, scope: &Scope, identity: &Identity) -> Result<Arc<Clients>, ConnectError> {
        if let Some(clients) = self.made().get(scope) {
            return Ok(clients.clone());
        }
        let config = match &self.endpoint {
            Endpoint::Fork { simulator, live } => {
                let provider = self.live_credentials(scope).await;
                live.register(&identity.account, &scope.region, provider);
                let transport = Transport::fork(self.clock.clone(), simulator.clone(), live.clone());
                self.simulated(self.base(scope), transport, &identity.account).build()
            }
            Endpoint::Aws | Endpoint::Url(_) | Endpoint::Sim(_) => self.config(scope).await?,
        };
        let clients = Arc::new(Clients {
            account: identity.account.clone(),
            partition: partition_of(&identity.arn),
            ..Clients::new(&config, &scope.region)
        });
        self.made().insert(scope.clone(), clients.clone());
        Ok(clients)
    }

    /// What a user of the services in an account and region gets: over the network, or of the simulated service.
    ///
    /// # Errors
    /// If there is no reply.
    pub async fn visit(&self, account: &str, region: &str, request: &Request) -> Result<Reply, Trouble> {
        let simulator = match &self.endpoint {
            Endpoint::Sim(simulator) | Endpoint::Fork { simulator, .. } => simulator,
            Endpoint::Aws | Endpoint::Url(_) => return self.clock.external(web::send(request)).await,
        };
        let found = simulator.visit(account, region, request);
        let takes = match &found {
            Ok(reply) => reply.latency,
            Err(Trouble::TimedOut(timeout)) => *timeout,
            Err(_) => Duration::ZERO,
        };
        self.clock.sleep(takes).await;
        found
    }

    /// Whether calls go to the simulated AWS.
    pub fn is_simulated(&self) -> bool {
        matches!(self.endpoint, Endpoint::Sim(_))
    }

    /// Whether what is done has effects outside this process.
    pub fn is_live(&self) -> bool {
        matches!(self.endpoint, Endpoint::Aws | Endpoint::Url(_))
    }

    /// The region to use when the settings name none.
    pub async fn default_region(&self) -> Result<String, ConnectError> {
        match &self.endpoint {
            Endpoint::Sim(_) => Ok(SIM_REGION.to_owned()),
            Endpoint::Aws | Endpoint::Url(_) | Endpoint::Fork { .. } => {
                let region = aws_config::default_provider::region::default_provider();
                use aws_config::meta::region::ProvideRegion;
                let region = self.clock.external(region.region()).await.ok_or(ConnectError::NoRegion)?;
                Ok(region.to_string())
            }
        }
    }

    /// Asks AWS who the credentials of `scope` belong to.
    pub async fn identify(&self, scope: &Scope) -> Result<Identity, ConnectError> {
        let config = self.config(scope).await?;
        let provider =
            config.credentials_provider().ok_or_else(|| ConnectError::NoCredentials("no provider".into()))?;
        let credentials =
            provider.provide_credentials().await.map_err(|error| ConnectError::NoCredentials(words(&error)))?;
        let sts = Clients::sts(&config);
        let mut delays = retry::delays(0).take(IDENTIFY_ATTEMPTS);
        let reply = loop {
            let error = match sts.get_caller_identity().send().await {
                Ok(reply) => break reply,
                Err(error) => retry::classify("sts:GetCallerIdentity", error, 1),
            };
            match (error.kind, delays.next()) {
                (CallErrorKind::Throttled | CallErrorKind::Unknown | CallErrorKind::NotSent, Some(delay)) => {
                    self.clock.sleep(delay).await;
                }
                (CallErrorKind::Refused | CallErrorKind::Permission, _) => {
                    return Err(ConnectError::Refused(error.to_string()));
                }
                _ => return Err(ConnectError::Unreachable(error.to_string())),
            }
        };
        Ok(Identity {
            account: reply.account().unwrap_or_default().to_owned(),
            arn: reply.arn().unwrap_or_default().to_owned(),
            region: scope.region.clone(),
            expires: credentials.expiry(),
        })
    }

    fn base(&self, scope: &Scope) -> aws_types::sdk_config::Builder {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(scope.region.clone()))
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .sleep_impl(RunSleep(self.clock.clone()))
            .identity_cache(aws_config::identity::IdentityCache::lazy().build());
        if let Some(name) = &self.app_name {
            config = config.app_name(name.clone());
        }
        config
    }

    /// Of clients whose calls the simulated AWS answers, in `account`.
    fn simulated(
        &self,
        config: aws_types::sdk_config::Builder,
        transport: Transport,
        account: &str,
    ) -> aws_types::sdk_config::Builder {
        // There are no connections that could be closed after an error.
        let retries = RetryConfig::disabled().with_reconnect_mode(ReconnectMode::ReuseAllConnections);
        // The simulated AWS takes a twelve-digit access key for the account.
        let credentials = Credentials::new(account, "simulated", None, None, "sim");
        config
            .retry_config(retries)
            .http_client(transport.recorded(self.log.get().cloned()))
            .time_source(RunTime(self.clock.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
    }

    async fn config(&self, scope: &Scope) -> Result<SdkConfig, ConnectError> {
        let mut config = self.base(scope);
        let config = match &self.endpoint {
            Endpoint::Sim(simulator) => {
                let transport = Transport::sim(self.clock.clone(), simulator.clone());
                self.simulated(config, transport, sim_account(scope)?)
            }
            Endpoint::Aws | Endpoint::Url(_) | Endpoint::Fork { .. } => {
                if let Some(url) = self.endpoint_url() {
                    config = config.endpoint_url(url);
                }
                config
                    .http_client(Transport::network(self.clock.clone(), network()).recorded(self.log.get().cloned()))
                    // Live requests are signed with real time, whatever the run's clock shows.
                    .time_source(aws_smithy_async::time::SystemTimeSource::new())
                    .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
                    .credentials_provider(self.live_credentials(scope).await)
            }
        };
        Ok(config.build())
    }

    async fn live_credentials(&self, scope: &Scope) -> SharedCredentialsProvider {
        let role = (scope.role_arn.clone(), scope.external_id.clone());
        if let Some(provider) = self.providers().get(&role) {
            return provider.clone();
        }
        let own = async {
            let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
                .http_client(network())
                .region(Region::new(scope.region.clone()));
            if let Some(url) = self.endpoint_url() {
                loader = loader.endpoint_url(url);
            }
            let base = loader.load().await;
            let Some(role) = &scope.role_arn else { return base.credentials_provider() };
            let role = AssumeRoleProvider::builder(role).session_name("runner").configure(&base);
            let role = match &scope.external_id {
                Some(id) => role.external_id(id),
                None => role,
            };
            Some(SharedCredentialsProvider::new(role.build().await))
        };
        let provider = self.clock.external(own).await;
        let kept = tokio::sync::Mutex::default();
        let provider = SharedCredentialsProvider::new(HoldTime { provider, clock: self.clock.clone(), kept });
        self.providers().entry(role).or_insert(provider).clone()
    }

    fn endpoint_url(&self) -> Option<&str> {
        match &self.endpoint {
            Endpoint::Url(url) => Some(url),
            Endpoint::Fork { live, .. } => live.endpoint_url(),
            Endpoint::Aws | Endpoint::Sim(_) => None,
        }
    }

    fn providers(&self) -> std::sync::MutexGuard<'_, BTreeMap<Role, SharedCredentialsProvider>> {
        self.providers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self) -> std::sync::MutexGuard<'_, BTreeMap<Scope, Arc<Clients>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn network() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

/// In the simulated AWS a role is an account.
fn sim_account(scope: &Scope) -> Result<&str, ConnectError> {
    match &scope.role_arn {
        Some(arn) => account_of(arn).ok_or_else(|| ConnectError::BadRole(arn.clone())),
        None => Ok(SIM_ACCOUNT),
    }
}

fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()))
}

/// `aws`, `aws-cn` or `aws-us-gov`, from any ARN.
fn partition_of(arn: &str) -> String {
    arn.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws").to_owned()
}

fn words(error: &CredentialsError) -> String {
    let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{cause}")
}

/// Credentials are asked for anew this long before they end.
const RENEWAL: Duration = Duration::from_secs(5 * 60);

/// Virtual time stands still while credentials are fetched. They are fetched once, until they are about to end.
#[derive(Debug)]
struct HoldTime {
    provider: Option<SharedCredentialsProvider>,
    clock: Clock,
    kept: tokio::sync::Mutex<Option<Credentials>>,
}

impl HoldTime {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let provider =
            self.provider.as_ref().ok_or_else(|| CredentialsError::not_loaded("no provider in the chain"))?;
        let mut kept = self.kept.lock().await;
        let lasts =
            |credentials: &&Credentials| credentials.expiry().is_none_or(|end| end > SystemTime::now() + RENEWAL);
        if let Some(credentials) = kept.as_ref().filter(lasts) {
            return Ok(credentials.clone());
        }
        let credentials = provider.provide_credentials().await?;
        *kept = Some(credentials.clone());
        Ok(credentials)
    }
}

impl ProvideCredentials for HoldTime {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        // Who waits for somebody else to fetch them holds the time too.
        future::ProvideCredentials::new(self.clock.external(self.credentials()))
    }
}

/// The SDK's timers are the run's.
#[derive(Debug)]
struct RunSleep(Clock);

impl AsyncSleep for RunSleep {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(self.0.sleep(duration))
    }
}

/// The SDK's clock is the run's.
#[derive(Debug)]
struct RunTime(Clock);

impl TimeSource for RunTime {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Counts how often it is asked, and gives credentials that last that many seconds.
    #[derive(Debug)]
    struct Counting(Arc<AtomicU64>, u64);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.0.fetch_add(1, Ordering::SeqCst);
            let end = SystemTime::now() + Duration::from_secs(self.1);
            future::ProvideCredentials::ready(Ok(Credentials::new("a", "b", None, Some(end), "test")))
        }
    }

    #[test]
    fn in_the_simulated_aws_a_role_is_an_account() {
        let role = |arn: &str| Scope { region: "eu-west-1".into(), role_arn: Some(arn.into()), external_id: None };
        let scope = role("arn:aws:iam::210987654321:role/deploy");
        assert_eq!(sim_account(&scope).expect("a role"), "210987654321");
        for arn in ["deploy", "arn:aws:iam::21098765432:role/x", "arn:aws:iam::21098765432x:role/x"] {
            assert!(matches!(sim_account(&role(arn)), Err(ConnectError::BadRole(bad)) if bad == arn));
        }
    }

    #[test]
    fn credentials_are_fetched_once_until_they_are_about_to_end() {
        let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _tokio = tokio.enter();
        for (seconds, wanted) in [(3_600, 1), (60, 3)] {
            let asked = Arc::new(AtomicU64::new(0));
            let provider = Some(SharedCredentialsProvider::new(Counting(asked.clone(), seconds)));
            let kept = tokio::sync::Mutex::default();
            let shared = SharedCredentialsProvider::new(HoldTime { provider, clock: Clock::real(), kept });
            for _ in 0..3 {
                tokio.block_on(shared.provide_credentials()).expect("credentials");
            }
            assert_eq!(asked.load(Ordering::SeqCst), wanted, "of {seconds} seconds");
        }
    }
}
