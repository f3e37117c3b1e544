"""What is written: tables, fields, units, reasons."""
