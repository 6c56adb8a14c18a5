//! The URL space of Route 53, as its service model has it. The more specific path comes first.

use crate::sim::wire::Route;

const fn route(action: &'static str, method: &'static str, path: &'static str) -> Route {
    Route { action, method, path, query: &[], lists: &[], status: 200 }
}

const PAGES: &[(&str, &str)] = &[
    ("marker", "Marker"),
    ("maxitems", "MaxItems"),
    ("hostedzonetype", "HostedZoneType"),
    ("dnsname", "DNSName"),
    ("hostedzoneid", "HostedZoneId"),
];

pub const ROUTES: &[Route] = &[
    Route {
        lists: &["Changes/Change", "ResourceRecords/ResourceRecord"],
        ..route("ChangeResourceRecordSets", "POST", "/2013-04-01/hostedzone/{HostedZoneId}/rrset")
    },
    Route {
        query: &[
            ("name", "StartRecordName"),
            ("type", "StartRecordType"),
            ("identifier", "StartRecordIdentifier"),
            ("maxitems", "MaxItems"),
        ],
        ..route("ListResourceRecordSets", "GET", "/2013-04-01/hostedzone/{HostedZoneId}/rrset")
    },
    route("AssociateVPCWithHostedZone", "POST", "/2013-04-01/hostedzone/{HostedZoneId}/associatevpc"),
    route("DisassociateVPCFromHostedZone", "POST", "/2013-04-01/hostedzone/{HostedZoneId}/disassociatevpc"),
    Route { status: 201, ..route("CreateHostedZone", "POST", "/2013-04-01/hostedzone") },
    Route { query: PAGES, ..route("ListHostedZones", "GET", "/2013-04-01/hostedzone") },
    Route { query: PAGES, ..route("ListHostedZonesByName", "GET", "/2013-04-01/hostedzonesbyname") },
    route("UpdateHostedZoneComment", "POST", "/2013-04-01/hostedzone/{Id}"),
    route("GetHostedZone", "GET", "/2013-04-01/hostedzone/{Id}"),
    route("DeleteHostedZone", "DELETE", "/2013-04-01/hostedzone/{Id}"),
    Route {
        lists: &["ChildHealthChecks/ChildHealthCheck", "Regions/Region"],
        status: 201,
        ..route("CreateHealthCheck", "POST", "/2013-04-01/healthcheck")
    },
    Route { query: PAGES, ..route("ListHealthChecks", "GET", "/2013-04-01/healthcheck") },
    route("GetHealthCheckCount", "GET", "/2013-04-01/healthcheckcount"),
    route("GetHealthCheckStatus", "GET", "/2013-04-01/healthcheck/{HealthCheckId}/status"),
    Route {
        lists: &["ChildHealthChecks/ChildHealthCheck", "Regions/Region", "ResetElements/ResettableElementName"],
        ..route("UpdateHealthCheck", "POST", "/2013-04-01/healthcheck/{HealthCheckId}")
    },
    route("GetHealthCheck", "GET", "/2013-04-01/healthcheck/{HealthCheckId}"),
    route("DeleteHealthCheck", "DELETE", "/2013-04-01/healthcheck/{HealthCheckId}"),
    route("GetChange", "GET", "/2013-04-01/change/{Id}"),
    Route {
        lists: &["AddTags/Tag", "RemoveTagKeys/Key"],
        ..route("ChangeTagsForResource", "POST", "/2013-04-01/tags/{ResourceType}/{ResourceId}")
    },
    route("ListTagsForResource", "GET", "/2013-04-01/tags/{ResourceType}/{ResourceId}"),
    Route {
        lists: &["ResourceIds/ResourceId"],
        ..route("ListTagsForResources", "POST", "/2013-04-01/tags/{ResourceType}")
    },
];
