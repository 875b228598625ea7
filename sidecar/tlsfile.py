"""Checks the certificate files that a routing file names, by loading them as a router does."""

import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path as FilePath

from router.certificate import CertificateError, client_context, server_context
from sidecar.model.process import ListenTls
from sidecar.model.variant import VariantSection
from sidecar.problem import Path, Problem
from sidecar.routecheck import part
from sidecar.routeintent import listen_tls_of, tls_of
from sidecar.yamltree import Tree

EXPECTED = {
    "cert": "a PEM file with a certificate",
    "key": "a PEM file with the private key of `cert`, without a password",
    "ca": "a PEM file with certificates of authorities",
    "client_ca": "a PEM file with certificates of authorities",
}


def check_files(tree: Tree, folder: FilePath) -> list[Problem]:
    """Return what is wrong with the files that the sound ``tls`` sections of ``tree`` name."""
    problems = []
    listen = part(tree, ("tls",), ListenTls)
    if listen is not None:
        shown = listen_tls_of(listen, folder)
        problems += _fault(tree, ("tls",), partial(server_context, shown))
    for path in variant_paths(tree):
        variant = part(tree, path, VariantSection)
        if variant is not None and variant.tls is not None and variant.url.is_tls:
            wanted = tls_of(variant.tls, folder)
            if bool(wanted.cert) == bool(wanted.key):  # else routecheck says so
                problems += _fault(tree, (*path, "tls"), partial(client_context, wanted))
    return problems


def variant_paths(tree: Tree) -> list[Path]:
    """Return the path of every variant in the file."""
    paths: list[Path] = []
    routes = tree.get(("routes",))
    for index in range(len(routes) if isinstance(routes, list) else 0):
        route: Path = ("routes", index)
        challengers = tree.get((*route, "challengers"))
        n = len(challengers) if isinstance(challengers, list) else 0
        paths += [(*route, "champion"), *((*route, "challengers", k) for k in range(n))]
    return paths


def _fault(tree: Tree, path: Path, load: Callable[[], ssl.SSLContext]) -> list[Problem]:
    try:
        load()
    except CertificateError as error:
        found = f"{error.path} ({error.why})"
        return [tree.problem((*path, error.key), EXPECTED[error.key], found=found)]
    return []
