"""The live page: a server on this machine, or Python in the browser, behind one page of the library's own numbers."""
