"""
The pictures of the panel as plain geometry: where every bar, point and tick of an SVG stands.

Decision: no markup here. The templates in `templates/pages/pictures/` draw what these modules measured, so that every
word that a stranger chose passes the one escaping that all pages have, and geometry is tested as numbers.
"""
