-- Nothing is released yet, so this table is small where it exists: no rule about long locks.
-- Who saw an invoice and sees it no more stays, with the moment: what was said before that moment
-- may be read after it, since topics are not ordered against each other. `seen_until` is when a
-- right that is lent ends by itself.
ALTER TABLE viewer
ADD COLUMN told_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',
ADD COLUMN is_seeing boolean NOT NULL DEFAULT true,
ADD COLUMN seen_until timestamptz;
