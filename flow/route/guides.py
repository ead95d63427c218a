"""Which part of the die each net is searched in."""

from dataclasses import dataclass

import numpy as np

from flow.route.problem import RoutingProblem

REGION_COLUMNS, REGION_ROWS = 16, 20


@dataclass(frozen=True)
class Guides:
    columns: int
    rows: int
    region_of_column: np.ndarray
    region_of_row: np.ndarray
    start: np.ndarray
    region: np.ndarray

    @property
    def n_regions(self) -> int:
        return self.columns * self.rows


def box_guides(problem: RoutingProblem) -> Guides:
    lat=problem.lattice
    columns, rows = -(-lat.nx//REGION_COLUMNS), -(-lat.ny//REGION_ROWS)
    roc=(np.arange(lat.nx)//REGION_COLUMNS).astype(np.int32); ror=(np.arange(lat.ny)//REGION_ROWS*columns).astype(np.int32)
    rest=problem.nodes%lat.plane; x=roc[rest%lat.nx]; y=ror[rest//lat.nx]//columns
    start=[0]; reg=[]
    for n in range(problem.n_nets):
        a,b=problem.pin_start[problem.net_start[n]],problem.pin_start[problem.net_start[n+1]]
        X,Y=x[a:b],y[a:b]
        reg+=[r*columns+c for r in range(Y.min(),Y.max()+1) for c in range(X.min(),X.max()+1)]
        start.append(len(reg))
    return Guides(columns,rows,roc,ror,np.array(start,np.int32),np.array(reg,np.int32))
