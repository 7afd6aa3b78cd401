"""Corruptions of one sample of one modality, by kind. One file per kind or group of kinds."""
