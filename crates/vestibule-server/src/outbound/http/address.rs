//! Which addresses strangers may make us call: public ones.
//!
//! The law: an address counts by what a packet to it would reach. IPv4 addresses of the IANA Special-Purpose Address Registry
//! (RFC 6890, 2) are refused, and so is what is no unicast. In IPv6 only the unicast space that is given out, `2000::/3`, is
//! taken (RFC 4291, 2.4), without the special-purpose blocks inside it: loopback, unique local, link-local and multicast
//! addresses, and every IPv4 address in another writing, lie outside. One block outside is taken for what is in it:
//! `64:ff9b::/96`, by which a network without IPv4 reaches IPv4 (RFC 6052, 2.1), counts as the address that it translates to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block that is refused, and what it is for.
type Block<Address> = (Address, u32, &'static str);

/// The special-purpose blocks of IPv4, multicast (RFC 5771) and reserved space (RFC 1112, 4) included.
#[rustfmt::skip]
const SPECIAL_V4: &[Block<Ipv4Addr>] = &[
    (Ipv4Addr::UNSPECIFIED,           8,  "this network, RFC 791"),
    (Ipv4Addr::new(10, 0, 0, 0),      8,  "private use, RFC 1918"),
    (Ipv4Addr::new(100, 64, 0, 0),    10, "shared address space, RFC 6598"),
    (Ipv4Addr::new(127, 0, 0, 0),     8,  "loopback, RFC 1122"),
    (Ipv4Addr::new(169, 254, 0, 0),   16, "link-local, RFC 3927"),
    (Ipv4Addr::new(172, 16, 0, 0),    12, "private use, RFC 1918"),
    (Ipv4Addr::new(192, 0, 0, 0),     24, "protocol assignments, RFC 6890"),
    (Ipv4Addr::new(192, 0, 2, 0),     24, "documentation, RFC 5737"),
    (Ipv4Addr::new(192, 31, 196, 0),  24, "AS112, RFC 7535"),
    (Ipv4Addr::new(192, 52, 193, 0),  24, "AMT, RFC 7450"),
    (Ipv4Addr::new(192, 88, 99, 0),   24, "6to4 relays, RFC 7526"),
    (Ipv4Addr::new(192, 168, 0, 0),   16, "private use, RFC 1918"),
    (Ipv4Addr::new(192, 175, 48, 0),  24, "AS112, RFC 7534"),
    (Ipv4Addr::new(198, 18, 0, 0),    15, "benchmarking, RFC 2544"),
    (Ipv4Addr::new(198, 51, 100, 0),  24, "documentation, RFC 5737"),
    (Ipv4Addr::new(203, 0, 113, 0),   24, "documentation, RFC 5737"),
    (Ipv4Addr::new(224, 0, 0, 0),     4,  "multicast, RFC 5771"),
    (Ipv4Addr::new(240, 0, 0, 0),     4,  "reserved, RFC 1112"),
];

/// The special-purpose blocks inside `2000::/3`.
#[rustfmt::skip]
const SPECIAL_V6: &[Block<Ipv6Addr>] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),           23, "protocol assignments (Teredo, benchmarking, ORCHID), RFC 2928"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),       32, "documentation, RFC 3849"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0),           16, "6to4, RFC 3056"),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0),   48, "AS112, RFC 7534"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),           20, "documentation, RFC 9637"),
];

/// The well-known prefix of NAT64.
const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
/// The unicast space that is given out.
const GLOBAL_UNICAST: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);

/// Why an address is refused; `None` for a public one.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) if in_v6(address, NAT64, 96) => {
            let [.., high, low] = address.segments();
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            special_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(address) if !in_v6(address, GLOBAL_UNICAST, 3) => {
            Some("no global unicast address, RFC 4291")
        }
        IpAddr::V6(address) => SPECIAL_V6
            .iter()
            .find(|(block, length, _)| in_v6(address, *block, *length))
            .map(|(_, _, purpose)| *purpose),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4
        .iter()
        .find(|(block, length, _)| (address.to_bits() ^ block.to_bits()) >> (32 - length) == 0)
        .map(|(_, _, purpose)| *purpose)
}

fn in_v6(address: Ipv6Addr, block: Ipv6Addr, length: u32) -> bool {
    (address.to_bits() ^ block.to_bits()) >> (128 - length) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_special(text: &str) -> bool {
        special(text.parse().unwrap()).is_some()
    }

    #[test]
    fn t51_the_first_and_last_address_of_every_special_block_is_refused_and_its_neighbours_are_judged_by_themselves()
     {
        for (block, length, purpose) in SPECIAL_V4 {
            let last = Ipv4Addr::from_bits(block.to_bits() | (u32::MAX >> length));
            assert_eq!(special(IpAddr::V4(*block)), Some(*purpose));
            assert_eq!(special(IpAddr::V4(last)), Some(*purpose));
        }
        for (block, length, purpose) in SPECIAL_V6 {
            let last = Ipv6Addr::from_bits(block.to_bits() | (u128::MAX >> length));
            assert_eq!(special(IpAddr::V6(*block)), Some(*purpose));
            assert_eq!(special(IpAddr::V6(last)), Some(*purpose));
        }
        for public in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:db7:ffff::1",
            "2003::1",
            "2606:4700::1111",
            "3ffe::1",
        ] {
            assert!(!is_special(public), "{public}");
        }
    }

    #[test]
    fn t51_private_loopback_link_local_and_multicast_addresses_are_refused_in_both_families() {
        for address in [
            "0.0.0.0",
            "127.0.0.1",
            "127.255.255.254",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "100::1",
            "5f00::1",
            "4000::1",
            "e000::1",
        ] {
            assert!(is_special(address), "{address}");
        }
    }

    #[test]
    fn t51_an_ipv4_address_in_ipv6_writing_is_refused_and_a_translated_one_counts_as_itself() {
        for address in [
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "2002:7f00:1::",
            "2002:0808:0808::1",
            "64:ff9b::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:0:0:0:1:808:808",
            "2001::1",
        ] {
            assert!(is_special(address), "{address}");
        }
        assert!(!is_special("64:ff9b::8.8.8.8"));
    }
}
