"""The doors of payment: for the gateway, for agents, and for the providers' notices."""

from payment.api.bodies import PaymentDemand, QuoteDemand
from payment.api.doors import Desk, Doors
from payment.api.notices import MAXIMUM_BODY_BYTES

__all__ = ["MAXIMUM_BODY_BYTES", "Desk", "Doors", "PaymentDemand", "QuoteDemand"]
