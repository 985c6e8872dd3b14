"""How a refusal is told."""

from payment.domain import Attempt, NotPayableError
from payment.domain.baskets import AmountRefusedError
from payment.ports import ProviderRefusedError
from shared.errors import DomainError
from shared.http import ProblemError


def refusal(error: DomainError) -> ProblemError:
    """Return the problem that a rule of the trade makes."""
    attempt: Attempt | None = getattr(error, "attempt", None)
    extensions: dict[str, str] = {}
    if attempt is not None:
        extensions = {
            "payment_id": str(attempt.payment_id),
            "started_at": attempt.started_at.isoformat(),
            "expires_at": attempt.expires_at.isoformat(),
        }
    code = error.slug
    if isinstance(error, NotPayableError):
        code = error.reason.value
        extensions["number"] = error.number
    elif isinstance(error, AmountRefusedError):
        code = error.code
    outcome = getattr(error, "outcome", None)
    if outcome is not None:
        extensions["outcome"] = outcome.value
    status = 404 if code == "unknown-invoice" else 409
    return ProblemError(status, code, str(error), extensions=extensions)


def refusal_of_provider(error: ProviderRefusedError) -> ProblemError:
    """Return the problem that a provider makes of an order; its own code helps people."""
    return ProblemError(409, error.slug, error.detail, extensions={"provider_code": error.code})
