"""HTTPS for a phone: one certificate authority that is kept, and a certificate for this machine at each start.

A phone's camera works only on https pages whose certificate it trusts. The authority is made once, stays in the user's
data folder, and is trusted once. It is limited to private addresses and local names (name constraints, RFC 5280), so
whoever gets hold of its key cannot pose as a site of the web.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from glyphline.errors import DataError
from glyphline.files import replace_atomically

AUTHORITY_DAYS, CERTIFICATE_DAYS = 3650, 397  # phones refuse server certificates of more than 398 days
PRIVATE_NETWORKS = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
    "fc00::/7", "fe80::/10", "::1/128",
)  # fmt: skip
LOCAL_DOMAINS = ("localhost", "local", "lan", "home.arpa", "internal")
ONE_DAY = datetime.timedelta(days=1)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Authority:
    """The certificate authority of this machine."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate as PEM, to be trusted by a phone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 fingerprint as phones show it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def data_folder() -> Path:
    """The folder of the user in which the app keeps its authority and its token; made with mode 0700."""
    from platformdirs import user_data_path

    folder = user_data_path("glyphline") / "app"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read (mode 0600), whole or not at all."""
    with replace_atomically(path) as temporary:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


def open_authority(folder: Path) -> Authority:
    """The authority kept in a folder; it is made if the folder has none, or if it ends within 397 days.

    Raises DataError for a damaged file.
    """
    certificate_file, key_file = folder / "authority.crt", folder / "authority.key"
    if certificate_file.exists() and key_file.exists():
        try:
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        except ValueError as error:
            raise DataError(f"{folder} holds a damaged certificate authority ({error}): delete the folder") from None
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        if certificate.not_valid_after_utc > _now() + CERTIFICATE_DAYS * ONE_DAY:
            return Authority(certificate, key)
    authority = _make_authority()
    write_secret(key_file, _key_pem(authority.key))
    with replace_atomically(certificate_file) as temporary:
        temporary.write_bytes(authority.pem)
    return authority


def _make_authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"glyphline on {socket.gethostname()[:40]}")])
    permitted: list[x509.GeneralName] = [x509.DNSName(domain) for domain in LOCAL_DOMAINS]
    permitted += [x509.IPAddress(ipaddress.ip_network(network)) for network in PRIVATE_NETWORKS]
    certificate = (
        _builder(name, name, key, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def issue(authority: Authority, addresses: list[Address], names: list[str]) -> tuple[bytes, bytes]:
    """A new certificate for addresses and names, and its key, both as PEM. Those outside the constraints are left out.

    Raises DataError if none is left.
    """
    networks = [ipaddress.ip_network(network) for network in PRIVATE_NETWORKS]
    inside = [a for a in addresses if any(a in network for network in networks)]
    local = [n for n in names if n.rpartition(".")[2] in LOCAL_DOMAINS or n.endswith(".home.arpa")]
    alternatives: list[x509.GeneralName] = [*map(x509.DNSName, local), *map(x509.IPAddress, inside)]
    if not alternatives:
        raise DataError("this machine has only public addresses: put a reverse proxy with a certificate before it")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "glyphline")])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(name, authority.certificate.subject, key, CERTIFICATE_DAYS)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    start = _now() - ONE_DAY  # the clock of a phone may be behind
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + days * ONE_DAY)
    )


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    none = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def machine_addresses() -> list[Address]:
    """The addresses of this machine on its networks, the one that others reach first; loopback is left out.

    No packet is sent: connecting a UDP socket only makes the system choose the interface.
    """
    found: list[str] = []
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):  # for documentation only
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found.append(probe.getsockname()[0])
    with suppress(OSError):
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None)]
    addresses = (ipaddress.ip_address(text.partition("%")[0]) for text in found)
    return list(dict.fromkeys(a for a in addresses if not (a.is_loopback or a.is_unspecified)))
