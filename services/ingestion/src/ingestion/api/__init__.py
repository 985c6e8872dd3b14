"""The billers’ doors of ingestion."""
