QUICK=False
def prepare(): pass
