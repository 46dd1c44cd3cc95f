"""`stylekit studio`: a page in the browser, on this machine only, that shows a photo in every style.

`server` runs it, and `app` answers the requests that `security` lets in. `photos`, `styles` and `choices` hold what the
user brought and chose, `painter` paints it in a thread of its own (`previews` and `exports`, with the `networks` that
stay loaded), and `events` reports on that.
"""
