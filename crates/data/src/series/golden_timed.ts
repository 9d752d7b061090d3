@problemName small
@timeStamps true
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true a b
@data
(0,1.5),(1,-2.25),(4,3.0):(0,0.5),(2,?):b
(0,4.0),(3,5.0)::a
