@problemName small
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true a b
@data
1.5,NaN,-2.0:0,0.001,7:b
4.0,5.0:?,?:a
