"""Audio archaeology: old recordings on a disk are found, chosen among, and what was mined from them is gathered."""
