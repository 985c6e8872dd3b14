-- One folder for each invoice: what to publish, what is published, and until when.
CREATE TABLE folder (
    invoice_id uuid PRIMARY KEY,
    authority text NOT NULL,
    regie text NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    state text NOT NULL CHECK (state IN ('waiting', 'published', 'refused', 'withdrawn', 'purged')),
    request bytea,
    cause bytea,
    token text NOT NULL UNIQUE,
    attempts integer NOT NULL DEFAULT 0,
    claimed_by text,
    claimed_until timestamptz,
    refusal_code text,
    refusal_detail text,
    published_version integer,
    published_at timestamptz,
    readable_until date,
    document_key text,
    document_size_bytes bigint,
    document_sha256 text,
    print_key text,
    CHECK (state <> 'waiting' OR request IS NOT NULL),
    CHECK (state <> 'published' OR document_key IS NOT NULL)
);

CREATE INDEX folder_waiting ON folder (claimed_until NULLS FIRST) WHERE state = 'waiting';
CREATE INDEX folder_readable_until ON folder (readable_until) WHERE document_key IS NOT NULL;

CREATE TABLE stamp_place (
    authority text NOT NULL,
    regie text NOT NULL,
    revision integer NOT NULL,
    place bytea,
    PRIMARY KEY (authority, regie)
);

-- Objects that no folder refers to any more; a worker removes them from the store.
CREATE TABLE discarded_object (
    key text PRIMARY KEY,
    discarded_at timestamptz NOT NULL DEFAULT now()
);
