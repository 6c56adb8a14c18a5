//! What differs by region: the hosted zones that the names of load balancers are in.

/// Region, zone of application load balancers, zone of network load balancers.
/// Source: AWS General Reference, "Elastic Load Balancing endpoints and quotas".
const ZONES: &[(&str, &str, &str)] = &[
    ("af-south-1", "Z268VQBMOI5EKX", "Z203XCE67M25HM"),
    ("ap-east-1", "Z3DQVH9N71FHZ0", "Z12Y7K3UBGUAD1"),
    ("ap-northeast-1", "Z14GRHDCWA56QT", "Z31USIVHYNEOWT"),
    ("ap-northeast-2", "ZWKZPGTI48KDX", "ZIBE1TIR4HY56"),
    ("ap-northeast-3", "Z5LXEXXYW11ES", "Z1GWIQ4HH19I5X"),
    ("ap-south-1", "ZP97RAFLXTNZK", "ZVDDRBQ08TROA"),
    ("ap-southeast-1", "Z1LMS91P8CMLE5", "ZKVM4W9LS7TM"),
    ("ap-southeast-2", "Z1GM3OXH4ZPM65", "ZCT6FZBF4DROD"),
    ("ca-central-1", "ZQSVJUPU6J1EY", "Z2EPGBW3API2WT"),
    ("cn-north-1", "Z1GDH35T77C1KE", "Z3QFB96KMJ7ED6"),
    ("cn-northwest-1", "ZM7IZAIOVVDZF", "ZQEIKTCZ8352D"),
    ("eu-central-1", "Z215JYRZR1TBD5", "Z3F0SRJ5LGBH90"),
    ("eu-north-1", "Z23TAZ6LKFMNIO", "Z1UDT6IFJ4EJM"),
    ("eu-south-1", "Z3ULH7SSC9OV64", "Z23146JA1KNAFP"),
    ("eu-west-1", "Z32O12XQLNTSW2", "Z2IFOLAFXWLO4F"),
    ("eu-west-2", "ZHURV8PSTC4K8", "ZD4D7Y8KGAS4G"),
    ("eu-west-3", "Z3Q77PNBQS71R4", "Z1CMS0P5QUZ6D5"),
    ("me-south-1", "ZS929ML54UICD", "Z3QSRYVP46NYYV"),
    ("sa-east-1", "Z2P70J7HTTTPLU", "ZTK26PT1VY4CU"),
    ("us-east-1", "Z35SXDOTRQ7X7K", "Z26RNL4JYFTOTI"),
    ("us-east-2", "Z3AADJGX6KTTL2", "ZLMOA37VPKANP"),
    ("us-gov-east-1", "Z166TLBEWOO7G0", "Z1ZSMQQ6Q24QQ8"),
    ("us-gov-west-1", "Z33AYJ8TM3BH4J", "ZMG1MZ2THAWF1"),
    ("us-west-1", "Z368ELLRRE2KJ0", "Z24FKFUX50B4VW"),
    ("us-west-2", "Z1H1FL5HABSF5", "Z18D5FSROUN65G"),
];

/// The hosted zone of a load balancer's name, if the region is known here.
pub fn hosted_zone(region: &str, network: bool) -> Option<&'static str> {
    let (_, application_zone, network_zone) = ZONES.iter().find(|(known, ..)| *known == region)?;
    Some(if network { network_zone } else { application_zone })
}

/// The hosted zone that the name of a load balancer lies in, if it is one and its region is known here.
pub fn hosted_zone_of(dns_name: &str) -> Option<&'static str> {
    let (region, network) = place(dns_name)?;
    hosted_zone(region, network)
}

/// The region of the load balancer that has this name.
pub fn region_of(dns_name: &str) -> Option<&str> {
    place(dns_name).map(|(region, _)| region)
}

/// `NAME.REGION.elb.amazonaws.com` of an application load balancer, `NAME.elb.REGION.amazonaws.com` of a network one.
fn place(dns_name: &str) -> Option<(&str, bool)> {
    let labels = dns_name.trim_end_matches('.').trim_end_matches(".cn").strip_suffix(".amazonaws.com")?;
    let mut labels = labels.rsplit('.');
    match (labels.next()?, labels.next()?) {
        ("elb", region) => Some((region, false)),
        (region, "elb") => Some((region, true)),
        _ => None,
    }
}

/// The domain AWS's own names in a region end with.
pub fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

#[cfg(test)]
mod tests {
    use super::{hosted_zone_of, region_of};

    #[test]
    fn names_of_load_balancers() {
        assert_eq!(hosted_zone_of("web-1.eu-central-1.elb.amazonaws.com."), Some("Z215JYRZR1TBD5"));
        assert_eq!(hosted_zone_of("dualstack.web-1.eu-central-1.elb.amazonaws.com"), Some("Z215JYRZR1TBD5"));
        assert_eq!(hosted_zone_of("web-1.elb.eu-central-1.amazonaws.com."), Some("Z3F0SRJ5LGBH90"));
        assert_eq!(hosted_zone_of("web-1.cn-north-1.elb.amazonaws.com.cn."), Some("Z1GDH35T77C1KE"));
        assert_eq!(hosted_zone_of("x.s3-website.eu-central-1.amazonaws.com."), None);
        assert_eq!(hosted_zone_of("www.example.com."), None);
        assert_eq!(region_of("web-1.elb.eu-central-1.amazonaws.com"), Some("eu-central-1"));
        assert_eq!(region_of("www.example.com."), None);
    }
}
