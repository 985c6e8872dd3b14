"""PayFiP's web service, through eopayment and the WSDL that it ships: two calls, and its faults."""

import threading
from functools import cache
from typing import Any

from payment.adapters.library import CONNECT_SECONDS, READ_SECONDS, backend
from payment.ports import ProviderRefusedError, ProviderUnavailableError

THREADS = 16
"""Calls to PayFiP at once; what is more waits its turn."""

SENTENCES = {
    "A1": "PayFiP demande une adresse électronique.",
    "A2": "PayFiP n’accepte pas l’adresse électronique.",
    "D1": "L’adresse de retour ne convient pas à PayFiP.",
    "M1": "Le montant n’a pas la forme que PayFiP attend.",
    "M3": "PayFiP ne prend pas de paiement de moins de 1 €.",
    "M5": "Le montant dépasse ce que PayFiP accepte en un paiement.",
    "N1": "L’adresse de notification ne convient pas à PayFiP.",
    "P1": "PayFiP ne connaît pas cette opération.",
    "P3": "Cette opération PayFiP a déjà servi.",
    "P4": "Cette opération PayFiP n’est plus valable.",
    "P5": "PayFiP ne connaît pas encore le résultat de ce paiement.",
    "R3": "La référence de la dette n’a pas la forme que PayFiP attend.",
    "S1": "Le type de saisie ne convient pas à PayFiP.",
    "T1": "Le numéro de client PayFiP de la collectivité manque ou n’a pas la bonne forme.",
    "T2": "PayFiP ne connaît pas le numéro de client de la collectivité.",
    "T4": "Le contrat PayFiP de la collectivité ne permet pas ce paiement.",
}
"""What each functional code means: A2, R3, P1 and P5 are recorded in eopayment's tests, the others
are told by third parties."""

FAMILIES = {
    "A": "PayFiP n’accepte pas l’adresse électronique.",
    "D": "L’adresse de retour ne convient pas à PayFiP.",
    "E": "L’exercice de la dette ne convient pas à PayFiP.",
    "M": "Le montant ne convient pas à PayFiP.",
    "N": "L’adresse de notification ne convient pas à PayFiP.",
    "O": "L’objet du paiement ne convient pas à PayFiP.",
    "P": "PayFiP ne peut pas donner suite à cette opération.",
    "R": "PayFiP n’accepte pas la référence de la dette.",
    "S": "Le type de saisie ne convient pas à PayFiP.",
    "T": "Le contrat PayFiP de la collectivité ne permet pas ce paiement.",
}
"""What the codes have in common that begin with a letter."""

_building = threading.Lock()


@cache
def _service(url: str) -> Any:  # noqa: ANN401 - eopayment has no types
    import requests  # noqa: PLC0415 - with zeep 20 MB, only where PayFiP is used
    import zeep  # noqa: PLC0415
    from eopayment.payfip_ws import PayFiP  # noqa: PLC0415

    session = requests.Session()
    # Calls are rare: a connection that was left open is mostly closed over there when it is used.
    session.headers["Connection"] = "close"
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=THREADS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    limits = (CONNECT_SECONDS, READ_SECONDS)
    transport = zeep.Transport(session=session, operation_timeout=limits)  # type: ignore[no-untyped-call]
    service = PayFiP(
        zeep_client_kwargs={
            "transport": transport,
            "settings": zeep.Settings(forbid_dtd=True, forbid_external=True),
        }
    )
    # The library sets it on the shared transport for each call: it must be the same for all.
    service.default_timeout = limits
    # No option of the library sets the address; that of the WSDL is the real one.
    for found in service.client.wsdl.services.values():
        for port in found.ports.values():
            port.binding_options["address"] = url
    return service


def service_at(url: str) -> Any:  # noqa: ANN401 - eopayment has no types
    """Return the web service at an address: read once from the library's own files, then shared."""
    with _building:
        return _service(url)


def create(options: dict[str, Any], url: str, request: dict[str, Any]) -> str:
    """Return the idOp of a new operation.

    Raises:
        ProviderRefusedError: PayFiP does not want it.
        ProviderUnavailableError: it does not answer, or not as it should.
    """
    payfip = backend("payfip_ws", options)
    payfip.payfip = service_at(url)
    from eopayment.payfip_ws import PayFiPError  # noqa: PLC0415 - as above

    try:
        idop, _, _ = payfip.request(**request)
    except PayFiPError as error:
        raise failure(error) from error
    return str(idop)


def detail(url: str, idop: str) -> Any:  # noqa: ANN401 - a type of the WSDL
    """Return the detail of an operation.

    Raises:
        ProviderRefusedError: PayFiP has none to give; `code` says why.
        ProviderUnavailableError: it does not answer, or not as it should.
    """
    service = service_at(url)
    from eopayment.payfip_ws import PayFiPError  # noqa: PLC0415 - as above

    try:
        answer = service.get_info_paiement(idop)
    except PayFiPError as error:
        raise failure(error) from error
    if answer is None:
        message = "an answer without a detail"
        raise ProviderUnavailableError(message)
    return answer


def failure(error: Any) -> ProviderRefusedError | ProviderUnavailableError:  # noqa: ANN401
    """Return what an error of the library means.

    A functional fault has a code of a letter and digits. Everything else (the three technical
    faults, HTTP, time, an answer that is no SOAP) says nothing of the order.
    """
    code = str(error.code)
    if code == "inconnu":
        return ProviderRefusedError(code, "PayFiP refuse ce paiement.")
    if len(code) < 2 or code[0] not in FAMILIES or not code[1:].isdigit():
        # The text of such an error may repeat the message that was sent: only its kind is told.
        origin = type(error.origin or error.message).__name__
        return ProviderUnavailableError(f"PayFiP does not answer: {code}, {origin}")
    return ProviderRefusedError(code, SENTENCES.get(code) or FAMILIES[code[0]])
