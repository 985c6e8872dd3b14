-- squawk-ignore-file require-concurrent-index-creation
-- A migration is one transaction; the service is stopped while it migrates, its facts wait in their topics.
-- What a quittance says of an invoice, in the words of its highest version.
CREATE TABLE invoice_words (
    invoice_id uuid PRIMARY KEY,
    version integer NOT NULL,
    authority_name text NOT NULL,
    regie_label text NOT NULL,
    subject text NOT NULL,
    payer_name text NOT NULL
);

-- Payments that have no quittance yet: one of their invoices is not known, so neither is its route.
CREATE TABLE receipt_wait (
    payment_id uuid NOT NULL,
    authority text NOT NULL,
    regie text NOT NULL,
    PRIMARY KEY (payment_id, authority, regie)
);

-- The last number of each régie and year. A number is taken under the row's lock, in the transaction
-- that gives the quittance: a sequence would leave a gap wherever one is rolled back.
CREATE TABLE receipt_counter (
    authority text NOT NULL,
    regie text NOT NULL,
    year integer NOT NULL,
    number integer NOT NULL CHECK (number >= 1),
    PRIMARY KEY (authority, regie, year)
);

CREATE TABLE receipt (
    authority text NOT NULL,
    regie text NOT NULL,
    year integer NOT NULL,
    number integer NOT NULL CHECK (number >= 1),
    payment_id uuid NOT NULL,
    authority_name text NOT NULL,
    regie_label text NOT NULL,
    means text NOT NULL,
    provider_reference text NOT NULL,
    paid_at timestamptz NOT NULL,
    issued_at timestamptz NOT NULL,
    PRIMARY KEY (authority, regie, year, number),
    -- The same payment is receipted once, whatever is replayed.
    UNIQUE (payment_id, authority, regie)
);

CREATE TABLE receipt_part (
    payment_id uuid NOT NULL,
    authority text NOT NULL,
    regie text NOT NULL,
    invoice_id uuid NOT NULL,
    invoice_number text NOT NULL,
    subject text NOT NULL,
    payer_name text NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    PRIMARY KEY (payment_id, authority, regie, invoice_id),
    FOREIGN KEY (payment_id, authority, regie) REFERENCES receipt (payment_id, authority, regie)
);

CREATE INDEX receipt_part_invoice ON receipt_part (invoice_id);

CREATE TRIGGER receipt_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON receipt
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER receipt_part_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON receipt_part
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What went back since is read from the feed.
CREATE INDEX collection_payment ON collection (payment_id);
