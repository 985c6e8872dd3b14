"""The card provider: Lyra's form payment V2 (PayZen, SystemPay) with its signed notices.

A merchant's form comes in at `POST /vads-payment/`; the payer types a card on the hosted page;
the notice (IPN) goes to the merchant's server, then the browser goes back to the merchant.
"""
