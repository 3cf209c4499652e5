"""Keys of a federation: a certificate authority, the server's certificate, and a key pair for every site."""

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from braintumor.errors import InputError

AUTHORITY, SERVER_CERTIFICATE, SERVER_KEY = "ca.crt", "server.pem", "server.key"
VALID_DAYS = 365
"""How long certificates are valid; the keys of sites have no end, and are revoked by ``flwr supernode unregister``."""

_PEM = serialization.Encoding.PEM
_PLAIN = serialization.NoEncryption()


def write_keys(folder: Path, hosts: Iterable[str], sites: Iterable[str]) -> list[Path]:
    """Write ``ca.crt``, ``server.pem`` and ``server.key``, and for every site its private key and NAME.pub.

    ``hosts`` are the names and addresses by which sites reach the server. Only whoever runs the command can read the
    private keys; the authority's own is thrown away, since nothing else may ever be signed by it. Gives the files.
    Raises ``InputError`` where a file is there already or no host is named.
    """
    names = list(hosts)
    if not names:
        raise InputError("Name at least one host by which the sites reach the server.")
    folder.mkdir(parents=True, exist_ok=True)
    authority, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    issuer = _name("Federation")
    root = _certificate(issuer, issuer, authority.public_key(), ca=True).sign(authority, hashes.SHA384())
    server = _certificate(_name(names[0]), issuer, key.public_key(), ca=False)
    server = server.add_extension(x509.SubjectAlternativeName([_host(name) for name in names]), critical=False)
    traditional = serialization.PrivateFormat.PKCS8
    contents = {
        AUTHORITY: root.public_bytes(_PEM),
        SERVER_CERTIFICATE: server.sign(authority, hashes.SHA384()).public_bytes(_PEM),
        SERVER_KEY: key.private_bytes(_PEM, traditional, _PLAIN),
    }
    for site in sites:
        own = ec.generate_private_key(ec.SECP384R1())
        # Flower's SuperNode reads no other format.
        contents[site] = own.private_bytes(_PEM, serialization.PrivateFormat.OpenSSH, _PLAIN)
        contents[f"{site}.pub"] = own.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    there = [name for name in contents if (folder / name).exists()]
    if there:
        raise InputError(f"{folder / there[0]} is there already; choose another folder, or delete it.")
    return [_written(folder / name, content) for name, content in contents.items()]


def _written(path: Path, content: bytes) -> Path:
    public = path.suffix in (".crt", ".pem", ".pub")
    path.touch(mode=0o644 if public else 0o600)
    path.write_bytes(content)
    return path


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
