"""The certificate authority: made once, limited to private addresses, trusted by TLS as Python checks it."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from glyphline.app.certificates import (
    Authority,
    data_folder,
    issue,
    machine_addresses,
    open_authority,
    write_secret,
)
from glyphline.errors import DataError

LOOPBACK = ipaddress.ip_address("127.0.0.1")


def test_authority_is_kept(tmp_path: Path) -> None:
    first, second = open_authority(tmp_path), open_authority(tmp_path)
    assert first.fingerprint == second.fingerprint and first.fingerprint.count(":") == 31
    assert stat.S_IMODE((tmp_path / "authority.key").stat().st_mode) == 0o600
    (tmp_path / "authority.key").write_text("damaged")
    with pytest.raises(DataError, match="delete the folder"):
        open_authority(tmp_path)


def test_data_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_folder().is_relative_to(tmp_path) and stat.S_IMODE(data_folder().stat().st_mode) == 0o700


def handshake(authority: Authority, folder: Path, name: str, addresses: list, names: list[str]) -> str:
    """Connect by TLS to a server with a certificate for `addresses` and `names`. Returns "" or why it was refused."""
    certificate, key = issue(authority, addresses, names)
    write_secret(folder / "server.pem", key + certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    client = ssl.create_default_context(cadata=authority.pem.decode())
    ours, theirs = socket.socketpair()

    def answer() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True):
                pass
        except (ssl.SSLError, OSError):
            pass

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name):
            return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        ours.close()
        thread.join(5)
        theirs.close()


def test_certificate_is_trusted_for_its_addresses(tmp_path: Path) -> None:
    authority = open_authority(tmp_path)
    addresses = [LOOPBACK, ipaddress.ip_address("192.168.1.20"), ipaddress.ip_address("fe80::1")]
    names = ["localhost", "laptop.local", "example.org"]
    for name in ("127.0.0.1", "192.168.1.20", "fe80::1", "localhost", "laptop.local"):
        assert handshake(authority, tmp_path, name, addresses, names) == "", name
    assert "mismatch" in handshake(authority, tmp_path, "192.168.1.21", addresses, names)
    assert "mismatch" in handshake(authority, tmp_path, "example.org", addresses, names)  # it was left out


def test_authority_cannot_vouch_for_the_web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever steals the key and issues a certificate for a web site is not trusted."""
    authority = open_authority(tmp_path)
    monkeypatch.setattr("glyphline.app.certificates.LOCAL_DOMAINS", ("org",))
    assert "permitted subtree" in handshake(authority, tmp_path, "example.org", [LOOPBACK], ["example.org"])


def test_only_public_addresses(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="reverse proxy"):
        issue(open_authority(tmp_path), [ipaddress.ip_address("8.8.8.8")], ["example.org"])


def test_addresses_of_this_machine_are_not_loopback() -> None:
    assert not [address for address in machine_addresses() if address.is_loopback]
