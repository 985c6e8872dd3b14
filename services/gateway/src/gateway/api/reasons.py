"""Why something cannot be paid online, in the payer's language."""

from aiohttp import web

from gateway.api.language import euros_for, language_of, say
from gateway.ports import Payability, RefusedError, RefusedInvoice
from shared.http import ProblemError

IN_PROGRESS = "payment-in-progress"
ADDRESS_CODES = frozenset({"A1", "A2"})
"""PayFiP's codes for a payer's address that it does not take."""
MOMENTS = frozenset(
    {"recent-attempt", "not-yet-payable", "too-late", "regie-closed", "maintenance"}
)
"""Reasons that hold for one invoice and may not for another."""
AMOUNT_CODES = frozenset(
    {"amount-too-high", "amount-too-low", "partial-not-allowed", "rest-too-low"}
)
"""Refusals of a sum that the payer chose."""


def sentence_of(request: web.Request, reason: str, otherwise: str = "") -> str:
    """Return the sentence for a reason of payment; one that is not known here in its own words.

    The list is payment's contract and only grows: a test holds that each is known here.
    """
    return _of_invoice(request).get(reason) or _of_moment(request).get(reason) or otherwise


def _of_invoice(request: web.Request) -> dict[str, str]:
    """Return what concerns the debt itself."""
    return {
        "unknown-invoice": say(
            request, "Cette facture n’est pas encore prête à être payée. Revenez dans un instant."
        ),
        "already-paid": say(request, "Cette facture est déjà payée : vous n’avez rien à faire."),
        "withdrawn": say(request, "Cette facture a été retirée : vous n’avez rien à payer."),
        "credit-note": say(request, "Ceci est un avoir : il n’y a rien à payer."),
        "direct-debit-planned": say(
            request, "Cette facture sera prélevée sur votre compte : vous n’avez rien à faire."
        ),
        "transferred": say(
            request,
            "Cette facture a été transmise au Trésor public : elle se paie auprès de lui, comme"
            " l’indique le courrier qu’il vous envoie.",
        ),
        "disputed": say(request, "Cette facture est contestée : son paiement est suspendu."),
        "no-provider": say(
            request,
            "Cette facture ne se paie pas en ligne : les autres moyens de la payer sont indiqués"
            " sur le document.",
        ),
        "no-debt-reference": say(
            request,
            "Il manque à cette facture la référence qui permet de la payer en ligne : les autres"
            " moyens de la payer sont indiqués sur le document.",
        ),
        "different-accounts": say(request, "Cette facture ne peut être payée avec les autres."),
        "paid-alone": say(request, "Cette facture se paie seule : payez-la à part."),
    }


def _of_moment(request: web.Request) -> dict[str, str]:
    """Return what concerns the moment, or the sum."""
    return {
        IN_PROGRESS: say(request, "Un paiement de cette facture est déjà en cours."),
        "request-in-progress": say(
            request, "Votre demande est en cours de traitement. Revenez dans un instant."
        ),
        "payment-given-up": say(request, "Ce paiement a été abandonné dans une autre fenêtre."),
        "recent-attempt": say(
            request,
            "Un paiement de cette facture vient d’être tenté et nous n’en connaissons pas encore"
            " l’issue : réessayez dans une vingtaine de minutes.",
        ),
        "not-yet-payable": say(
            request, "Cette facture pourra être payée en ligne le lendemain de sa publication."
        ),
        "too-late": say(
            request,
            "Le délai pour payer cette facture en ligne est dépassé : adressez-vous au service qui"
            " l’a émise.",
        ),
        "regie-closed": say(
            request, "La régie est fermée : le paiement en ligne reprendra à sa réouverture."
        ),
        "maintenance": say(
            request, "Le service de paiement est en maintenance : réessayez un peu plus tard."
        ),
        "below-minimum": say(
            request, "La somme est inférieure au minimum que le paiement en ligne accepte."
        ),
        "above-maximum": say(
            request, "La somme dépasse le maximum que le paiement en ligne accepte."
        ),
        "idempotency-key-reused": say(
            request,
            "Cette page a déjà servi à un autre paiement. Revenez à la facture et recommencez.",
        ),
    }


def is_of_one_invoice(request: web.Request, reason: str) -> bool:
    """Tell whether a refusal is about one invoice, and not about the demand itself."""
    return reason in _of_invoice(request) or reason in MOMENTS


def told(request: web.Request, found: Payability | RefusedInvoice) -> str:
    """Return why an invoice cannot be paid now; empty when it can."""
    return sentence_of(request, found.reason, found.sentence) if found.reason else ""


def refusal(request: web.Request, error: RefusedError) -> ProblemError:
    """Return payment's refusal as a page's error; an unknown one in payment's own words."""
    status = 404 if error.code == "unknown-invoice" else 409
    detail = error.detail
    if error.code == "provider-refused" and language_of(request) != "fr":
        # What the provider said is told in French only.
        detail = say(
            request, "La page de paiement n’a pas accepté cette demande : rien n’a été débité."
        )
    return ProblemError(status, error.code, sentence_of(request, error.code, detail))


def amount_error(
    request: web.Request, code: str, *, minimum_cents: int | None, outstanding_cents: int
) -> str:
    """Return what is wrong with a sum that the payer chose."""
    if code == "amount-too-high":
        return say(
            request,
            "Il reste %(sum)s à payer : vous ne pouvez payer davantage.",
            sum=euros_for(request, outstanding_cents),
        )
    if code == "amount-too-low" and minimum_cents is not None:
        return say(
            request,
            "Le paiement d’une partie est possible à partir de %(sum)s.",
            sum=euros_for(request, minimum_cents),
        )
    sentences = {
        "amount-too-low": say(request, "Cette somme est trop petite pour être payée en ligne."),
        "partial-not-allowed": say(request, "Ces factures se paient en une seule fois."),
        "rest-too-low": say(
            request,
            "Ce qui resterait à payer est trop petit pour l’être en ligne : payez tout, ou un peu"
            " moins.",
        ),
    }
    return sentences.get(
        code, say(request, "Écrivez une somme en euros, par exemple 12,50, sans rien d’autre.")
    )
