-- The fingerprint of the terms by which it was derived; none for what was derived before this was kept.
ALTER TABLE entitlements ADD COLUMN terms TEXT COLLATE "C";
