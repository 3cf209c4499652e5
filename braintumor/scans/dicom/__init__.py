"""DICOM objects to series, and series to scans."""
