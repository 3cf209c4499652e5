"""A DICOM node that takes studies, has them answered in the background, and sends the results back."""
