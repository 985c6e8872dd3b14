"""The SQL that says whose invoices an account sees: the one place where it is written.

Four ways lead from an account to an invoice. Each is a query of its own that can use its own index;
a condition with `OR` could use none.
"""

_DIRECT = """
    SELECT invoice.invoice_id, link.payer_id, link.evidence, link.number, link.score, link.since
    FROM link JOIN invoice
        ON invoice.payer_id = link.payer_id AND invoice.payer_words && link.payer_words
    WHERE link.account_id = {account} AND link.revoked_at IS NULL
    UNION ALL
    SELECT invoice.invoice_id, link.payer_id, link.evidence, link.number, link.score, link.since
    FROM link JOIN invoice ON invoice.invoice_id = link.invoice_id
    WHERE link.account_id = {account} AND link.revoked_at IS NULL
    UNION ALL
    SELECT invoice.invoice_id, invoice.payer_id, 'verified_email', invoice.number, NULL,
        greatest(account.verified_at, invoice.published_at)
    FROM account JOIN invoice ON invoice.payer_email = account.email
    WHERE account.account_id = {account} AND account.verified_at IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM refusal WHERE refusal.account_id = account.account_id
                AND refusal.payer_id = invoice.payer_id)
"""


def direct(account: str) -> str:
    """Return what an account sees by itself: by link, by the proven invoice, by proved address.

    `account` is a parameter or a column. An invoice may come several times, once for each reason.
    """
    return _DIRECT.format(account=account)


def seen(account: str, now: str) -> str:
    """Return all that an account sees, each invoice once, with what may be done with it.

    A delegation shows what its owner sees by themselves at this moment, and no more: when their own
    right ends, so does the delegate's, and what somebody sees as a delegate is not theirs to give.
    """
    return f"""
SELECT invoice_id, bool_or(is_own) AS is_own, bool_or(can_read) AS can_read,
    bool_or(can_pay) AS can_pay
FROM (
    SELECT own.invoice_id, true AS is_own, true AS can_read, true AS can_pay
    FROM ({direct(account)}) AS own
    UNION ALL
    SELECT lent.invoice_id, false, delegation.can_read, delegation.can_pay
    FROM delegation CROSS JOIN LATERAL ({direct("delegation.owner_id")}) AS lent
    WHERE delegation.delegate_id = {account} AND delegation.ended_at IS NULL
        AND delegation.ends_at > {now} AND lent.payer_id = ANY(delegation.payer_ids)
) AS ways GROUP BY invoice_id
"""


_HOLDERS = """
    SELECT invoice.invoice_id, link.account_id, link.payer_id
    FROM invoice JOIN link
        ON link.payer_id = invoice.payer_id AND link.payer_words && invoice.payer_words
    WHERE invoice.invoice_id = ANY({invoices}) AND link.revoked_at IS NULL
    UNION ALL
    SELECT link.invoice_id, link.account_id, link.payer_id FROM link
    WHERE link.invoice_id = ANY({invoices}) AND link.revoked_at IS NULL
    UNION ALL
    SELECT invoice.invoice_id, account.account_id, invoice.payer_id
    FROM invoice JOIN account ON account.email = invoice.payer_email
    WHERE invoice.invoice_id = ANY({invoices}) AND account.verified_at IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM refusal WHERE refusal.account_id = account.account_id
                AND refusal.payer_id = invoice.payer_id)
"""


def holders(invoices: str) -> str:
    """Return the same, asked the other way round: who sees these invoices by themselves.

    `invoices` is an array of ids. An account may come several times, once for each reason.
    """
    return _HOLDERS.format(invoices=invoices)


# And until when: no end for one's own right, else the latest of the delegations'.
VIEWERS = f"""
WITH own AS ({holders("$1")})
SELECT invoice_id, account_id, nullif(max(until), 'infinity') AS until FROM (
    SELECT invoice_id, account_id, 'infinity'::timestamptz AS until FROM own
    UNION ALL
    SELECT own.invoice_id, delegation.delegate_id, delegation.ends_at
    FROM own JOIN delegation ON delegation.owner_id = own.account_id
    WHERE delegation.delegate_id IS NOT NULL AND delegation.ended_at IS NULL
        AND delegation.ends_at > $2 AND delegation.can_read
        AND own.payer_id = ANY(delegation.payer_ids)
) AS ways GROUP BY invoice_id, account_id
ORDER BY invoice_id, account_id
"""
