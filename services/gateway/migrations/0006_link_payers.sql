-- Nothing is released yet, so these tables are small where they exist: no rule about long locks.
-- squawk-ignore-file require-concurrent-index-creation, ban-drop-table
-- Whose invoices an account shows: payers as billing applications know them, and how it was proved.
-- `payer_id` is made from authority and reference; where a biller gave no reference of its own it is
-- the invoice's own id, a payer of whom only this invoice is known. `payer_words` are the words of
-- the name, folded: two billing applications of a town may give one reference to two people.
ALTER TABLE invoice
ADD COLUMN payer_id uuid,
ADD COLUMN payer_reference text,
ADD COLUMN payer_words text [] NOT NULL DEFAULT '{}',
ADD COLUMN fiscal_year integer,
ADD COLUMN debt_reference text;

UPDATE invoice SET payer_id = invoice_id;

CREATE INDEX invoice_payer ON invoice (payer_id);

-- What is printed, as people copy it: spaces, dashes and case tell nothing apart.
CREATE INDEX invoice_printed_number
ON invoice (authority, upper(regexp_replace(number, '[^[:alnum:]]', '', 'g')));

CREATE INDEX invoice_printed_debt
ON invoice (authority, upper(regexp_replace(debt_reference, '[^[:alnum:]]', '', 'g')))
WHERE debt_reference IS NOT NULL;

-- A link that ended stays, to tell its owner what was seen and until when.
CREATE TABLE link (
    link_id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    payer_id uuid NOT NULL,
    authority text NOT NULL,
    payer_words text [] NOT NULL,
    evidence text NOT NULL CHECK (
        evidence IN ('paper_code', 'reference_amount', 'franceconnect', 'agent')
    ),
    invoice_id uuid,
    number text NOT NULL,
    score integer,
    since timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_by text,
    revoked_why text
);

CREATE UNIQUE INDEX link_active ON link (account_id, payer_id) WHERE revoked_at IS NULL;

CREATE INDEX link_payer ON link (payer_id) WHERE revoked_at IS NULL;

CREATE INDEX link_invoice ON link (invoice_id) WHERE revoked_at IS NULL;

INSERT INTO link (link_id, account_id, payer_id, authority, payer_words, evidence, invoice_id,
    number, since)
SELECT gen_random_uuid(), attachment.account_id, attachment.invoice_id, invoice.authority, '{}',
    'paper_code', attachment.invoice_id, invoice.number, attachment.attached_at
FROM attachment JOIN invoice ON invoice.invoice_id = attachment.invoice_id;

DROP TABLE attachment;

-- Payers whom the owner of an account does not want to see: neither a proved address nor
-- FranceConnect brings them back by itself. A code or an amount that they give later does.
CREATE TABLE refusal (
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    payer_id uuid NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (account_id, payer_id)
);

-- Who a payer is for the biller, where it says so.
CREATE TABLE payer_identity (
    payer_id uuid PRIMARY KEY,
    authority text NOT NULL,
    family_name text NOT NULL,
    given_names text [] NOT NULL,
    birthdate text NOT NULL,
    gender text NOT NULL,
    birthplace text NOT NULL,
    birthcountry text NOT NULL,
    told_at timestamptz NOT NULL
);

CREATE INDEX payer_identity_birthdate ON payer_identity (birthdate text_pattern_ops);

-- Accounts that FranceConnect identified, by the day on which their owners were born.
CREATE INDEX identity_birthdate ON identity (birthdate text_pattern_ops);

-- An invoice that was found by its number and its sum, open for a while in one browser alone.
CREATE TABLE opening (
    secret_sha256 bytea PRIMARY KEY,
    browser_sha256 bytea NOT NULL,
    invoice_id uuid NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Sums that were guessed wrongly for one printed reference, whether it exists or not.
CREATE TABLE wrong_amount (
    reference_sha256 bytea PRIMARY KEY,
    failures integer NOT NULL,
    last_at timestamptz NOT NULL,
    locked_until timestamptz
);

-- What the owner of an account lets somebody else do with the invoices of some of their payers.
CREATE TABLE delegation (
    delegation_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    payer_ids uuid [] NOT NULL,
    email text NOT NULL,
    can_read boolean NOT NULL,
    can_pay boolean NOT NULL,
    invited_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    secret_sha256 bytea UNIQUE,
    secret_expires_at timestamptz NOT NULL,
    delegate_id uuid REFERENCES account ON DELETE CASCADE,
    accepted_at timestamptz,
    ended_at timestamptz,
    ended_by text CHECK (ended_by IN ('owner', 'delegate')),
    CHECK (can_read OR can_pay),
    CHECK ((delegate_id IS NULL) = (accepted_at IS NULL)),
    CHECK (delegate_id <> owner_id)
);

CREATE INDEX delegation_owner ON delegation (owner_id);

CREATE INDEX delegation_delegate ON delegation (delegate_id) WHERE delegate_id IS NOT NULL;
